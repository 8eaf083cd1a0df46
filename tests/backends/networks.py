"""Small networks with weights that tell, and what they make of an image."""

import keras
import numpy as np
from batch_statistics import settle

import keras_segnet

NETWORKS = {
    "segnet": lambda size: keras_segnet.build_segnet(5, (*size, 3), width=0.1),
    "segnet_basic": lambda size: keras_segnet.build_segnet_basic(5, (*size, 3), width=0.2),
}
SIZES = {"fixed": (32, 48), "odd": (45, 61), "open": (None, None)}


def build(network, size):
    keras.utils.set_random_seed(1)
    return settle(NETWORKS[network](SIZES[size]))


def image(size):
    height, width = (n or default for n, default in zip(SIZES[size], (37, 50), strict=True))
    return np.random.default_rng(2).integers(0, 256, (2, height, width, 3)).astype("float32")
