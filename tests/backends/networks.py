"""Small networks with weights that tell, and what they make of an image."""

import keras
import numpy as np

import keras_segnet

NETWORKS = {
    "segnet": lambda size: keras_segnet.build_segnet(5, (*size, 3), width=0.1),
    "segnet_basic": lambda size: keras_segnet.build_segnet_basic(5, (*size, 3), width=0.2),
}
SIZES = {"fixed": (32, 48), "odd": (45, 61), "open": (None, None)}


def build(network, size):
    """A network whose batch statistics are those of no data, as after training."""
    keras.utils.set_random_seed(1)
    model = NETWORKS[network](SIZES[size])
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (np.shape(w) for w in layer.get_weights())
            layer.set_weights(
                [
                    random.uniform(0.5, 1.5, gamma),
                    random.normal(0, 0.3, beta),
                    random.normal(0, 0.3, mean),
                    random.uniform(0.5, 1.5, variance),
                ]
            )
    return model


def image(size):
    height, width = (n or default for n, default in zip(SIZES[size], (37, 50), strict=True))
    return np.random.default_rng(2).integers(0, 256, (2, height, width, 3)).astype("float32")
