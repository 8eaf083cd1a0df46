"""What the index tensor holds: places in the window, by arithmetic for exported graphs, and positions."""

import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pooling_cases import (
    ANY_POOL_SIZE,
    ANY_SIZE,
    FEW_SIZES,
    FLOATS,
    PADDINGS,
    assert_equal,
    awkward_map,
    every_padding,
    every_pool_size,
    expected_outcome,
    make_case,
    pair,
    run,
)

from keras_segnet.layers import (
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    arithmetic_encoding,
    positions,
    window_encoding,
)
from keras_segnet.layers.quantized_encoding import QuantizedEncoding

# Arithmetic for exported graphs: exact for finite maps.

CLOSE_VALUES = np.array([-2.5, -1, 0, -0.0, 1e-7, 1, np.nextafter(1, 2), 3, np.nextafter(3, 4), 6e4], "float32")


@pytest.mark.slow
@settings(max_examples=200)
@given(
    size=ANY_SIZE,
    channels=st.integers(1, 4),
    pool_size=ANY_POOL_SIZE,
    padding=st.sampled_from(PADDINGS),
    dtype=FLOATS,
    seed=st.integers(0, 2**32),
)
def test_arithmetic_finds_the_first_maximum_however_close_the_others_are(
    size, channels, pool_size, padding, dtype, seed
):
    assert_arithmetic_is_exact("eager", size, channels, pool_size, padding, dtype, seed)


@pytest.mark.parametrize("mode", ["graph", "dynamic"])
@every_padding
@every_pool_size
def test_arithmetic_in_graphs(mode, padding, pool_size):
    for seed, size in enumerate(FEW_SIZES):
        assert_arithmetic_is_exact(mode, size, 3, pool_size, padding, "float32", seed)


def assert_arithmetic_is_exact(mode, size, channels, pool_size, padding, dtype, seed):
    if padding == "valid":
        size = tuple(max(n, p) for n, p in zip(size, pool_size, strict=True))
    x = np.random.default_rng(seed).choice(CLOSE_VALUES, (2, *size, channels)).astype(dtype)
    case = make_case(x, pool_size, pool_size, padding)
    pooling, unpooling = pair(pool_size, None, padding, arithmetic_encoding, dtype=np.dtype(dtype).name)

    def function(x, updates):
        pooled, indices = pooling(x)
        return pooled, indices, unpooling(updates, indices, like=x)

    pooled, indices, unpooled = run(mode, function, case.x, case.updates)
    expected = expected_outcome(case, pool_size, pool_size, padding, arithmetic_encoding)
    assert_equal(pooled, expected.pooled)
    assert_equal(indices, expected.indices)
    assert_equal(unpooled, expected.unpooled)


# Arithmetic for int8 graphs: exact where values are whole steps apart.


@pytest.mark.parametrize(
    ("pool_size", "padding"),
    [((2, 2), "same"), ((2, 2), "valid"), ((1, 2), "same"), ((3, 3), "valid"), ((1, 1), "same")],
)
@settings(max_examples=150)
@given(
    size=ANY_SIZE,
    channels=st.integers(1, 4),
    levels=st.integers(1, 256),
    step=st.sampled_from([0.5, 0.0625, 4.0]),
    seed=st.integers(0, 2**32),
)
def test_arithmetic_finds_the_first_maximum_of_whole_steps(pool_size, padding, size, channels, levels, step, seed):
    size = tuple(max(n, p) for n, p in zip(size, pool_size, strict=True))
    random = np.random.default_rng(seed)
    x = (step * random.integers(0, levels, (2, *size, channels))).astype("float32")
    pooled, codes, positions = oracles.max_pool(x, pool_size, pool_size, padding)
    updates = random.integers(-9, 10, pooled.shape).astype("float32")
    pooling, unpooling = pair(pool_size, None, padding, QuantizedEncoding(step))
    actual, indices = pooling(x)
    unpooled = unpooling(updates, indices, like=x)
    # Without a step the codes are of the same unit.
    _, without_steps = pair(pool_size, None, padding, QuantizedEncoding())[0](x)
    assert_equal(actual.numpy(), pooled)
    assert_equal(indices.numpy(), (6 * codes).astype("float32"))
    assert_equal(without_steps.numpy(), (6 * codes).astype("float32"))
    np.testing.assert_allclose(unpooled, oracles.scatter(updates, positions, size), rtol=1e-6)


# Encodings.


@pytest.mark.parametrize("mode", ["eager", "fused", "xla_dynamic"])
@every_padding
@pytest.mark.parametrize("pool_size", [(2, 2), (3, 3)])
def test_the_flat_encoding_is_what_tensorflow_gives(mode, padding, pool_size):
    size = (3 * pool_size[0] + 1, 2 * pool_size[1] + 1)
    x = awkward_map(size, batch=3, channels=4)
    if padding == "same":  # TensorFlow takes minus infinity for no maximum there, and gives a position outside.
        x = np.maximum(np.nan_to_num(x), -9)
    pooling = MaxPoolingWithArgmax2D(pool_size, padding=padding, encoding="flat")
    pooled, indices = run(mode, pooling, x)
    theirs, positions = tf.nn.max_pool_with_argmax(x, pool_size, pool_size, padding.upper())
    assert_equal(indices, positions.numpy().astype("int32"))
    assert_equal(pooled, theirs.numpy())


def test_positions_do_not_serve_in_maps_that_int32_cannot_count():
    with pytest.raises(ValueError, match="65536x32768x2 elements is too large for positions in int32"):
        positions.positions_of(tf.zeros((1, 1, 1, 2), "int8"), MaxUnpooling2D().pooling, (65536, 32768))


def test_codes_mean_the_same_to_layers_of_exported_graphs():
    """A decoder that was split off takes int8 there too."""
    x = awkward_map((5, 7), batch=2, channels=3)
    pooled, codes = MaxPoolingWithArgmax2D()(x)
    updates = np.arange(1, 1 + pooled.numpy().size, dtype="float32").reshape(pooled.shape)
    inside = pair(encoding=arithmetic_encoding)[1](updates, codes, like=x)
    assert_equal(inside.numpy(), MaxUnpooling2D()(updates, codes, like=x).numpy())


@pytest.mark.parametrize("encoding", ["flat", "window"])
def test_a_saved_layer_keeps_its_encoding(encoding):
    layer = MaxPoolingWithArgmax2D(encoding=encoding)
    assert MaxPoolingWithArgmax2D.from_config(layer.get_config()).encoding is layer.encoding
    before_there_was_a_choice = {key: value for key, value in layer.get_config().items() if key != "encoding"}
    assert MaxPoolingWithArgmax2D.from_config(before_there_was_a_choice).encoding is window_encoding


@pytest.mark.parametrize("encoding", [arithmetic_encoding, QuantizedEncoding(), QuantizedEncoding(0.5)])
@pytest.mark.parametrize("strides", [1, 4])
def test_exported_graphs_know_no_windows_that_overlap_or_leave_gaps(encoding, strides):
    with pytest.raises(NotImplementedError, match="strides equal to pool_size"):
        pair(3, strides, encoding=encoding)[0](awkward_map((6, 6), batch=1, channels=1))
