import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.layers import LocalResponseNormalization


def oracle(x, window=5, alpha=1e-4, beta=0.75, k=1.0):
    """Caffe's formula, channel by channel."""
    y = np.zeros(x.shape, np.float64)
    channels = x.shape[-1]
    for c in range(channels):
        energy = 0.0
        for j in range(channels):
            if abs(j - c) <= window // 2:
                energy = energy + x[..., j].astype(np.float64) ** 2
        y[..., c] = x[..., c] / (k + alpha / window * energy) ** beta
    return y


@settings(max_examples=60)
@given(
    channels=st.integers(1, 9),
    window=st.sampled_from([1, 3, 5, 7]),
    alpha=st.floats(1e-5, 2.0),
    beta=st.floats(0.1, 2.0),
    k=st.floats(0.5, 3.0),
    seed=st.integers(0, 1000),
)
def test_each_pixel_is_divided_by_caffes_formula(channels, window, alpha, beta, k, seed):
    x = np.random.default_rng(seed).normal(scale=10, size=(2, 3, 4, channels)).astype("float32")
    y = LocalResponseNormalization(window, alpha, beta, k)(x)
    np.testing.assert_allclose(y, oracle(x, window, alpha, beta, k), rtol=1e-4, atol=1e-6)


def test_the_released_settings_are_the_defaults():
    grey = np.full((1, 1, 1, 3), 200, "float32")
    expected = 200 / (1 + 2e-5 * 3 * 200**2) ** 0.75
    np.testing.assert_allclose(LocalResponseNormalization()(grey).numpy().ravel(), [expected] * 3, rtol=1e-6)


def test_it_equals_tensorflows_with_alpha_over_the_window():
    x = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 8)).astype("float32")
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
    np.testing.assert_allclose(LocalResponseNormalization()(x), theirs, rtol=1e-5)


@pytest.mark.parametrize("channels", [3, 8])
def test_squares_of_colours_do_not_overflow_in_float16(channels):
    x = np.full((1, 2, 2, channels), 255, "float16")
    y = LocalResponseNormalization(dtype="mixed_float16")(x)
    assert y.dtype == tf.float16
    np.testing.assert_allclose(y.numpy().astype("float64"), oracle(x.astype("float32")), rtol=1e-3)


@pytest.mark.parametrize("window", [0, 2, -1, 4, 3.0, None])
def test_a_window_that_has_no_middle_is_refused(window):
    with pytest.raises(ValueError, match="window must be a positive odd int"):
        LocalResponseNormalization(window)


def test_config_makes_the_same_layer_again():
    config = LocalResponseNormalization(3, 0.5, 0.25, 2.0, name="its_name").get_config()
    again = LocalResponseNormalization.from_config(config)
    assert again.get_config() == config
    assert (again.window, again.alpha, again.beta, again.k) == (3, 0.5, 0.25, 2.0)


def test_symbolic_shape_is_that_of_the_input():
    assert LocalResponseNormalization()(keras.Input((None, 7, 3))).shape == (None, None, 7, 3)
