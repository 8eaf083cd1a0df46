import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.layers import LocalContrastNormalization, LocalResponseNormalization


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


@pytest.mark.parametrize("layer", [LocalResponseNormalization, LocalContrastNormalization])
@pytest.mark.parametrize("window", [0, 2, -1, 4, 3.0, None])
def test_a_window_that_has_no_middle_is_refused(layer, window):
    with pytest.raises(ValueError, match="window must be a positive odd int"):
        layer(window)


def test_config_makes_the_same_layer_again():
    config = LocalResponseNormalization(3, 0.5, 0.25, 2.0, name="its_name").get_config()
    again = LocalResponseNormalization.from_config(config)
    assert again.get_config() == config
    assert (again.window, again.alpha, again.beta, again.k) == (3, 0.5, 0.25, 2.0)


@pytest.mark.parametrize("layer", [LocalResponseNormalization, LocalContrastNormalization])
def test_symbolic_shape_is_that_of_the_input(layer):
    assert layer()(keras.Input((None, 7, 3))).shape == (None, None, 7, 3)


# Local contrast normalisation.


def contrast_oracle(x, window=9, sigma=None, epsilon=1e-2):
    """Jarrett et al.'s formula, pixel by pixel, with the Gaussian cut off at the border of the image."""
    _, height, width, channels = x.shape
    reach, sigma = window // 2, sigma or window / 4

    def local_mean(values, y, x):
        total = weights = 0.0
        for i in range(max(0, y - reach), min(height, y + reach + 1)):
            for j in range(max(0, x - reach), min(width, x + reach + 1)):
                weight = np.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * sigma**2))
                total, weights = total + weight * values[i, j].sum(), weights + weight * channels
        return total / weights

    y = np.zeros(x.shape)
    for n, image in enumerate(x.astype(np.float64)):
        places = list(np.ndindex(height, width))
        centred = np.zeros(image.shape)
        for place in places:
            centred[place] = image[place] - local_mean(image, *place)
        deviation = {place: max(epsilon, np.sqrt(local_mean(centred**2, *place))) for place in places}
        least = np.mean(list(deviation.values()))
        for place in places:
            y[n][place] = centred[place] / max(least, deviation[place])
    return y


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    channels=st.integers(1, 4),
    window=st.sampled_from([1, 3, 5, 9]),
    sigma=st.one_of(st.none(), st.floats(0.5, 5.0)),
    seed=st.integers(0, 1000),
)
def test_local_contrast_is_that_of_the_formula(size, channels, window, sigma, seed):
    random = np.random.default_rng(seed)
    x = random.integers(0, 256, (2, *size, channels)).astype("float32")
    # One image in which half is flat: there the mean deviation of the image is what divides.
    x[1, : size[0] // 2] = 80
    y = LocalContrastNormalization(window, sigma)(x)
    np.testing.assert_allclose(y, contrast_oracle(x, window, sigma), rtol=1e-3, atol=2e-3)


def test_an_even_image_becomes_zeros():
    y = LocalContrastNormalization()(np.full((1, 20, 30, 3), 200, "float32"))
    np.testing.assert_allclose(y, np.zeros((1, 20, 30, 3)), atol=0.01)


def test_brightness_and_contrast_of_the_whole_image_do_not_matter():
    x = np.random.default_rng(0).uniform(0, 100, (1, 20, 30, 3)).astype("float32")
    layer = LocalContrastNormalization()
    np.testing.assert_allclose(layer(2.5 * x + 5), layer(x), atol=1e-3)


def test_colour_stays():
    """Red is above the mean of the channels in red and below it in the others, and so it is after normalisation."""
    x = np.random.default_rng(0).uniform(50, 150, (1, 20, 30, 1)) * [1.0, 0.5, 0.5]
    y = LocalContrastNormalization()(x.astype("float32")).numpy()
    assert y[..., 0].mean() > 0.5 > -0.2 > y[..., 1].mean()


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_contrast_is_computed_in_float32_under_mixed_precision(policy):
    x = np.random.default_rng(0).integers(0, 256, (1, 16, 24, 3)).astype("float32")
    y = LocalContrastNormalization(dtype=policy)(x)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_allclose(y.numpy().astype("float32"), contrast_oracle(x), atol=2e-2)


def test_the_gradient_of_an_even_image_is_finite():
    x = tf.Variable(np.full((1, 6, 8, 3), 90, "float32"))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(LocalContrastNormalization()(x) ** 2)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_contrast_layers_of_any_size_and_from_a_config_give_the_same():
    layer = LocalContrastNormalization(5, 1.5, 0.1, name="its_name")
    again = LocalContrastNormalization.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    image = keras.Input((None, None, 3))
    x = np.random.default_rng(0).uniform(0, 255, (2, 13, 17, 3)).astype("float32")
    predicted = keras.Model(image, again(image)).predict(x, verbose=0)
    np.testing.assert_allclose(predicted, contrast_oracle(x, 5, 1.5, 0.1), atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"sigma": 0}, "sigma must be a positive number or None, not 0"), ({"epsilon": 0}, "epsilon must be a positive")],
)
def test_other_settings_of_contrast_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocalContrastNormalization(**arguments)
