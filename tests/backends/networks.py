"""Small networks with weights that tell, and what they make of an image."""

from pathlib import Path

import keras
import numpy as np
from batch_statistics import settle
from small_networks import small

import keras_segnet

EXCHANGE = Path(__file__).parents[2] / "build" / "exchange"
"""Where each backend writes models, and what they answer, for the others to read."""

NETWORKS = {
    "segnet": lambda size: keras_segnet.build_segnet(5, (*size, 3), width=0.1),
    "segnet_basic": lambda size: keras_segnet.build_segnet_basic(5, (*size, 3), width=0.2),
}
"""Those that every backend writes, in all sizes. Of the others TensorFlow alone writes one each."""

SIZES = {"fixed": (32, 48), "odd": (45, 61), "open": (None, None)}
SMALL = (29, 37)
"""Size of the one model each of the others."""


def build(network, size):
    keras.utils.set_random_seed(1)
    return settle(NETWORKS[network](SIZES[size]))


def build_small(network):
    keras.utils.set_random_seed(1)
    return settle(small(network, 5, (*SMALL, 3)))


def image(size):
    return picture(*(n or default for n, default in zip(SIZES[size], (37, 50), strict=True)))


def picture(height, width):
    return np.random.default_rng(2).integers(0, 256, (2, height, width, 3)).astype("float32")


def assert_same_labels(actual, expected):
    """Probabilities are nearly equal, and so labels are equal where one class is clearly ahead."""
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    second, first = np.moveaxis(np.sort(expected, axis=-1)[..., -2:], -1, 0)
    clear = first - second > 2e-4  # Twice the tolerance: nearer than that, rounding may decide.
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(actual.argmax(axis=-1)[clear], expected.argmax(axis=-1)[clear])
