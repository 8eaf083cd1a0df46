"""The layers against the numpy oracle, on whichever backend Keras has."""

import gradients
import keras
import ml_dtypes
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.layers import (
    BatchNormalization,
    BroadcastLike,
    InterpolateLike,
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    ZeroPaddingTo,
)

BACKEND = keras.backend.backend()

# Of few shapes, because JAX compiles each operation anew for each.
SIZES = ((1, 1), (1, 2), (2, 1), (3, 3), (4, 6), (6, 6), (7, 5), (2, 11))
FLOATS = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
VALUES = st.sampled_from([-1.0, 0.0, 1.0, -0.0, -np.inf, np.inf, np.nan, 2.5])


@st.composite
def cases(draw):
    """A map of awkward values, and values to unpool and to send back."""
    size = draw(st.sampled_from(SIZES))
    pool_size = draw(st.sampled_from([2, 3]))
    padding = draw(st.sampled_from(["same", "valid"]))
    if padding == "valid" and min(size) < pool_size:
        size = (6, 6)
    dtype = draw(st.sampled_from(sorted(FLOATS)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (2, *size, 3)
    values = np.array(draw(st.lists(VALUES, min_size=1, max_size=12)), "float32")
    x = random.choice(values, shape).astype(FLOATS[dtype])
    pooled_shape = oracles.max_pool(x, (pool_size,) * 2, (pool_size,) * 2, padding)[0].shape
    updates, back_pooled, back_unpooled = (
        random.integers(-9, 10, s).astype(FLOATS[dtype]) for s in (pooled_shape, pooled_shape, shape)
    )
    return pool_size, padding, dtype, x, updates, back_pooled, back_unpooled


def equal(actual, expected):
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual.astype("float64"), expected.astype("float64"))


@settings(max_examples=40 if BACKEND == "jax" else 100)  # JAX compiles each operation anew for each shape.
@given(cases())
def test_random_maps_forward_and_gradient(case):
    pool_size, *rest = case
    assert_equals_oracle(pool_size, pool_size, *rest)


@pytest.mark.parametrize(("pool_size", "strides"), [(3, 2), (2, 3)], ids=["overlaps", "gaps"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_windows_that_overlap_or_leave_gaps(pool_size, strides, padding):
    random = np.random.default_rng(0)
    x = random.integers(-2, 3, (2, 7, 6, 3)).astype("float32")
    pooled, _, _ = oracles.max_pool(x, (pool_size,) * 2, (strides,) * 2, padding)
    updates, back_pooled, back_unpooled = (
        random.integers(-9, 10, shape).astype("float32") for shape in (pooled.shape, pooled.shape, x.shape)
    )
    assert_equals_oracle(pool_size, strides, padding, "float32", x, updates, back_pooled, back_unpooled)


def assert_equals_oracle(pool_size, strides, padding, dtype, x, updates, back_pooled, back_unpooled):
    pooling = MaxPoolingWithArgmax2D(pool_size, strides, padding, dtype=dtype)
    unpooling = MaxUnpooling2D(pool_size, strides, padding, dtype=dtype)

    def function(x, updates):
        pooled, indices = pooling(x)
        return pooled, unpooling(updates, indices, like=x), indices

    outputs, back = gradients.run(function, [x, updates], [back_pooled, back_unpooled])
    pooled, codes, positions = oracles.max_pool(x, (pool_size,) * 2, (strides,) * 2, padding)
    equal(outputs[0], pooled)
    equal(outputs[1], oracles.scatter(updates, positions, x.shape[1:3]))
    equal(outputs[2], codes.astype("int8"))
    equal(back[0], oracles.scatter(back_pooled, positions, x.shape[1:3]))
    equal(back[1], oracles.gather(back_unpooled, positions))


def test_flat_indices_are_positions():
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
    _, indices = MaxPoolingWithArgmax2D(encoding="flat")(x)
    equal(keras.ops.convert_to_numpy(indices), oracles.max_pool(x, (2, 2), (2, 2), "same")[2].astype("int32"))


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_a_mask_of_positions_unpools_as_tensorflow_means_it(dtype):
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
    pooled, _, positions = oracles.max_pool(x, (2, 2), (2, 2), "same")
    unpooled = MaxUnpooling2D()(pooled, positions.astype(dtype), like=x)
    equal(keras.ops.convert_to_numpy(unpooled), oracles.scatter(pooled, positions, (5, 7)))


@pytest.mark.parametrize("layer", [MaxPoolingWithArgmax2D, MaxUnpooling2D])
def test_channels_first_is_refused(layer):
    with pytest.raises(ValueError, match="data_format must be 'channels_last'"):
        layer(data_format="channels_first")


@pytest.mark.parametrize("wrong", [-1, 105, 2**20])
def test_positions_outside_the_map_are_refused_or_left_out(wrong):
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype("float32")
    pooled, _, positions = oracles.max_pool(x, (2, 2), (2, 2), "same")
    spoilt = positions.astype("int32")
    spoilt[1, 0, 0, 0] = wrong
    unpooling = MaxUnpooling2D(name="upsample1")
    # TensorFlow's own kind of error is not a ValueError.
    with pytest.raises(Exception, match=r"upsample1 .*include_batch_in_index=False"):
        unpooling(pooled, spoilt, like=x)
    if BACKEND == "jax":
        import jax

        pooled[1, 0, 0, 0], positions[1, 0, 0, 0] = 0, 0
        unpooled = jax.jit(lambda *tensors: unpooling(*tensors))(pooled, spoilt, x)
        equal(np.asarray(unpooled), oracles.scatter(pooled, positions, (5, 7)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_computes_in_half(policy):
    image = keras.Input((5, 7, 3))
    pooled, indices = MaxPoolingWithArgmax2D(dtype=policy)(image)
    model = keras.Model(image, [pooled, MaxUnpooling2D(dtype=policy)(pooled, indices, like=image)])
    x = np.random.default_rng(0).integers(-8, 9, (2, 5, 7, 3)).astype("float32")
    half, _, positions = oracles.max_pool(x, (2, 2), (2, 2), "same")
    pooled, unpooled = model.predict(x, verbose=0)
    np.testing.assert_array_equal(pooled.astype("float32"), half)
    np.testing.assert_array_equal(unpooled.astype("float32"), oracles.scatter(half, positions, (5, 7)))
    assert keras.backend.standardize_dtype(model.outputs[1].dtype) == policy.removeprefix("mixed_")


@pytest.mark.parametrize(("factor", "size"), [(1, (3, 4)), (3, (10, 7)), (8, (29, 41)), (16, (1, 16))])
def test_interpolation_puts_element_i_at_factor_times_i(factor, size):
    x = np.random.default_rng(0).normal(size=(2, *(-(-n // factor) for n in size), 3)).astype("float32")
    like = np.zeros((2, *size, 1), "float32")
    upstream = np.ones((2, *size, 3), "float32")
    outputs, (back,) = gradients.run(lambda x: (InterpolateLike(factor)(x, like), x), [x], [upstream])
    np.testing.assert_allclose(outputs[0], oracles.interpolate(x, factor, size), atol=1e-5)
    # Each pixel's weights add up to one.
    np.testing.assert_allclose(back.sum(axis=(1, 2)), np.prod(size), rtol=1e-5)


def test_maps_are_repeated_and_lengthened():
    x = np.arange(6.0, dtype="float32").reshape(1, 2, 1, 3)
    repeated = BroadcastLike()(x[:, :1], like=np.zeros((1, 4, 5, 2), "float32"))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(repeated), np.tile(x[:, :1], (1, 4, 5, 1)))
    longer = keras.ops.convert_to_numpy(ZeroPaddingTo(2)(x))
    np.testing.assert_array_equal(longer, np.pad(x, [(0, 0), (0, 0), (0, 1), (0, 0)]))


@pytest.mark.parametrize(("dtype", "rounding"), [("float32", 2e-5), ("bfloat16", 2**-7), ("float16", 2**-9)])
@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (3, 1, 1, 2), (2, 5, 7, 3), (2, 2, 2, 33)], ids=str)
def test_batch_normalization_is_the_oracles(shape, dtype, rounding):
    random = np.random.default_rng(0)
    x = random.normal(2, 3, shape).astype(FLOATS[dtype])
    upstream = random.normal(size=shape).astype(FLOATS[dtype])
    layer = BatchNormalization(momentum=0.7, epsilon=1e-5, dtype=dtype if dtype == "float32" else f"mixed_{dtype}")
    layer.build(shape)
    gamma, beta, moving_mean, moving_variance = weights = [
        random.uniform(0.5, 2, shape[-1]).astype("float32") for _ in range(4)
    ]
    layer.set_weights(weights)
    (y, _), (dx,) = gradients.run(lambda x: (layer(x, training=True), x), [x], [upstream])
    expected_y, mean, variance, expected_dx, _, _ = oracles.batch_normalization(x, upstream, gamma, beta, 1e-5)
    assert y.dtype == x.dtype
    np.testing.assert_allclose(y.astype("float64"), expected_y, rtol=rounding, atol=8 * rounding)
    np.testing.assert_allclose(dx.astype("float64"), expected_dx, rtol=rounding, atol=8 * rounding)
    if BACKEND != "jax":  # There, what a layer assigns while gradients are taken is lost.
        found = [keras.ops.convert_to_numpy(average) for average in (layer.moving_mean, layer.moving_variance)]
        np.testing.assert_allclose(found[0], 0.7 * moving_mean + 0.3 * mean, rtol=1e-5)
        np.testing.assert_allclose(found[1], 0.7 * moving_variance + 0.3 * variance, rtol=1e-5)
