"""Batch statistics as after training, which a new network has not."""

import keras
import numpy as np


def settle(model):
    """Moves scales, offsets and statistics of batch normalisation away from where they start. Returns the model."""
    generator = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape[0]
            layer.set_weights(
                [
                    generator.uniform(0.5, 1.5, count),
                    generator.normal(0, 0.3, count),
                    generator.normal(0, 0.3, count),
                    generator.uniform(0.5, 2.0, count),
                ]
            )
    return model
