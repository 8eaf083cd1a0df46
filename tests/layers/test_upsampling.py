import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.layers import BilinearUpsampling, CropLike


def interpolate(line, factor):
    """Linear interpolation of values that stand in the middle of pixels, along the first axis; ends are held."""
    result = np.zeros((line.shape[0] * factor, *line.shape[1:]))
    for i in range(result.shape[0]):
        position = (i + 0.5) / factor - 0.5
        first = int(np.floor(position))
        share = position - first
        before, after = (line[min(max(n, 0), line.shape[0] - 1)] for n in (first, first + 1))
        result[i] = (1 - share) * before + share * after
    return result


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(2, 7), st.integers(2, 7)),
    strides=st.tuples(st.sampled_from([1, 2, 3, 8]), st.sampled_from([1, 2, 3, 8])),
    larger=st.sampled_from([0, 2, 4]),
    seed=st.integers(0, 1000),
)
def test_a_deconvolution_that_starts_so_interpolates(size, strides, larger, seed):
    x = np.random.default_rng(seed).normal(size=(1, *size, 3)).astype("float32")
    kernel_size = tuple(2 * stride - stride % 2 + larger for stride in strides)
    layer = keras.layers.Conv2DTranspose(
        3, kernel_size, strides, padding="same", use_bias=False, kernel_initializer=BilinearUpsampling(strides)
    )
    expected = np.moveaxis(interpolate(np.moveaxis(interpolate(x[0], strides[0]), 1, 0), strides[1]), 1, 0)
    inside = tuple(slice(stride // 2, n * stride - stride // 2) for n, stride in zip(size, strides, strict=True))
    np.testing.assert_allclose(layer(x).numpy()[0][inside], expected[inside], atol=1e-5)


@pytest.mark.parametrize(("kernel_size", "stride"), [(4, 2), (8, 2), (16, 8), (64, 32)])
def test_the_kernels_of_fcn_keep_a_constant_map_but_at_the_border(kernel_size, stride):
    kernel = keras.ops.convert_to_numpy(BilinearUpsampling(stride)((kernel_size, kernel_size, 2, 2)))
    for row in range(stride):
        for column in range(stride):
            weights = kernel[row::stride, column::stride].sum(axis=(0, 1))
            np.testing.assert_allclose(weights, np.eye(2), atol=1e-6)


def test_it_equals_keras_s_own_interpolation_but_at_the_border():
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")
    ours = keras.layers.Conv2DTranspose(3, 8, 2, "same", use_bias=False, kernel_initializer=BilinearUpsampling(2))(x)
    keras_s = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    np.testing.assert_allclose(ours[:, 1:-1, 1:-1], keras_s[:, 1:-1, 1:-1], atol=1e-5)


def test_channels_without_a_filter_of_theirs_and_filters_without_a_channel_stay_empty():
    kernel = keras.ops.convert_to_numpy(BilinearUpsampling(2)((4, 4, 2, 3)))
    assert kernel.shape == (4, 4, 2, 3)
    np.testing.assert_array_equal(kernel.sum(axis=(0, 1)) > 0, np.eye(2, 3, dtype=bool))


def test_the_start_is_kept_in_a_config():
    start = BilinearUpsampling((2, 3))
    again = keras.initializers.deserialize(keras.initializers.serialize(start))
    assert type(again) is BilinearUpsampling and again.get_config() == start.get_config()
    np.testing.assert_array_equal(again((4, 5, 1, 1)), start((4, 5, 1, 1)))


@settings(max_examples=40)
@given(st.tuples(*[st.integers(1, 6)] * 2), st.tuples(*[st.integers(0, 3)] * 2), st.booleans())
def test_a_map_is_cut_at_its_end(size, more, in_a_graph_of_open_size):
    x = np.random.default_rng(1).normal(size=(2, size[0] + more[0], size[1] + more[1], 3)).astype("float32")
    like = np.zeros((2, *size, 1), "float32")
    layer = CropLike()
    if in_a_graph_of_open_size:
        inputs = [keras.Input((None, None, channels)) for channels in (3, 1)]
        cropped = layer(*inputs)
        assert cropped.shape == (None, None, None, 3)
        found = keras.Model(inputs, cropped)([x, like])
    else:
        found = layer(x, like)
    np.testing.assert_array_equal(found, x[:, : size[0], : size[1]])


def test_the_gradient_of_what_was_cut_off_is_zero():
    x = tf.random.normal((1, 3, 4, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(CropLike()(x, tf.zeros((1, 2, 3, 1))))
    expected = np.zeros((1, 3, 4, 2))
    expected[:, :2, :3] = 1
    np.testing.assert_array_equal(tape.gradient(total, x), expected)


def test_a_map_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match=r"size of like, \(4, 4\), and its input is smaller: \(4, 3\)"):
        CropLike()(np.zeros((1, 4, 3, 2), "float32"), np.zeros((1, 4, 4, 2), "float32"))
    with pytest.raises(ValueError, match="smaller"):
        CropLike()(keras.Input((3, None, 2)), keras.Input((4, None, 2)))
