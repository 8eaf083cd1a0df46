import functools
import subprocess
import sys
from typing import NamedTuple

import keras
import ml_dtypes
import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.layers import (
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    arithmetic_encoding,
    flat_encoding,
    fusion,
    positions,
    window_encoding,
)
from keras_segnet.layers.quantized_encoding import QuantizedEncoding

SIZES = ((1, 1), (1, 2), (2, 1), (2, 2), (1, 7), (4, 6), (3, 3), (5, 4), (6, 6), (7, 5), (11, 13))
FEW_SIZES = ((1, 2), (6, 6), (7, 5))
POOL_SIZES = ((1, 1), (2, 2), (3, 3), (2, 3))
PADDINGS = ("same", "valid")
MODES = ("eager", "graph", "fused", "dynamic", "xla", "xla_dynamic")
PORTABLE = ("eager", "graph", "dynamic")

every_mode = pytest.mark.parametrize("mode", MODES)
every_padding = pytest.mark.parametrize("padding", PADDINGS)
every_pool_size = pytest.mark.parametrize("pool_size", POOL_SIZES, ids="x".join("%d" for _ in range(2)).__mod__)


# How a function is run.


def traced(mode, function, *examples):
    """`function` made ready to run on arrays like the examples (nested as they come) in one of TensorFlow's ways."""

    def signature(array):
        shape = array.shape
        if np.ndim(array) == 4 and mode != "graph":
            # The batch is left open as Keras leaves it.
            shape = (None, None, None, shape[-1]) if "dynamic" in mode else (None, *shape[1:])
        return tf.TensorSpec(shape, array.dtype)

    if mode != "eager":
        spec = tf.nest.map_structure(signature, examples)
        function = tf.function(function, jit_compile="xla" in mode, input_signature=spec)

    def run_it(*arrays):
        tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)
        with pytest.MonkeyPatch.context() as patch:
            if mode == "fused":
                patch.setattr(fusion, "LEAST_FUSED", 0)
            return tf.nest.map_structure(lambda tensor: tensor.numpy(), function(*tensors))

    return run_it


def run(mode, function, *arrays):
    return traced(mode, function, *arrays)(*arrays)


def pair(pool_size=2, strides=None, padding="same", encoding=window_encoding, **options):
    """A pooling layer and the unpooling that undoes it."""
    layers = [layer(pool_size, strides, padding, **options) for layer in (MaxPoolingWithArgmax2D, MaxUnpooling2D)]
    for layer in layers:
        layer.encoding = encoding
    return layers


# What there is to pool: ties, equal values, signed zeros, minus infinity, NaN.


def awkward_map(size, batch, channels, seed=0):
    random = np.random.default_rng([*size, batch, channels, seed])
    kinds = (
        lambda: random.choice([-1.0, 0.0, 1.0], size),
        lambda: random.choice([0.0, -0.0], size),
        lambda: random.normal(size=size),
        lambda: random.choice([-np.inf, -np.inf, 2.0], size),
        lambda: random.choice([np.nan, -np.inf, 1.0, 3.0], size),
        lambda: np.full(size, -np.inf),
        lambda: np.full(size, 5.0),
    )
    maps = [kinds[(i + sum(size) + seed) % len(kinds)]() for i in range(batch * channels)]
    return np.moveaxis(np.reshape(maps, (batch, channels, *size)), 1, -1).astype("float32")


class Outcome(NamedTuple):
    pooled: np.ndarray
    indices: np.ndarray
    unpooled: np.ndarray
    pooled_gradient: np.ndarray
    unpooled_gradient: np.ndarray


class Case(NamedTuple):
    x: np.ndarray
    updates: np.ndarray
    upstream_of_pooled: np.ndarray
    upstream_of_unpooled: np.ndarray


def make_case(x, pool_size, strides, padding):
    """`x`, and random values of which every pooled size and map is made."""
    random = np.random.default_rng(x.size)
    pooled_shape = oracles.max_pool(x, pool_size, strides, padding)[0].shape

    def draw(shape):
        return random.integers(-9, 10, shape).astype(x.dtype)

    return Case(x, draw(pooled_shape), draw(pooled_shape), draw(x.shape))


def pool_and_unpool(pooling, unpooling, case):
    """The outcome of both layers on a case, gradients included."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([case.x, case.updates])
        pooled, indices = pooling(case.x)
        unpooled = unpooling(case.updates, indices, like=case.x)
    return Outcome(
        pooled,
        indices,
        unpooled,
        tape.gradient(pooled, case.x, case.upstream_of_pooled),
        tape.gradient(unpooled, case.updates, case.upstream_of_unpooled),
    )


def expected_outcome(case, pool_size, strides, padding, encoding=window_encoding):
    pooled, codes, positions = oracles.max_pool(case.x, pool_size, strides, padding)
    size = case.x.shape[1:3]
    indices = positions if encoding is flat_encoding else codes
    return Outcome(
        pooled,
        indices.astype(encoding.index_dtype(case.x.dtype)),
        oracles.scatter(case.updates, positions, size),
        oracles.scatter(case.upstream_of_pooled, positions, size),
        oracles.gather(case.upstream_of_unpooled, positions),
    )


def assert_equals_oracle(actual, case, pool_size, strides, padding, encoding=window_encoding):
    expected = expected_outcome(case, pool_size, strides, padding, encoding)
    for name, one, other in zip(Outcome._fields, actual, expected, strict=True):
        assert_equal(one, other, f"{name} of {case.x.shape}")


def assert_equal(actual, expected, message=""):
    assert actual.dtype == expected.dtype
    if actual.dtype == ml_dtypes.bfloat16:
        # NumPy knows no NaN of bfloat16.
        actual, expected = actual.astype("float32"), expected.astype("float32")
    np.testing.assert_array_equal(actual, expected, err_msg=message, strict=True)


@every_mode
@every_padding
@every_pool_size
def test_both_layers_and_their_gradients(mode, padding, pool_size):
    pooling, unpooling = pair(pool_size, padding=padding)
    # Those that need a trace each are few.
    sizes = SIZES if mode in ("eager", "dynamic") else FEW_SIZES
    if "xla" in mode and pool_size == (2, 3) and padding == "valid":
        sizes = sizes[1:]  # XLA has no gradient of slicing nothing, which is what a map smaller than a window comes to.
    maps = [
        awkward_map(size, batch=1 + i % 3, channels=3 if "dynamic" in mode else 1 + i % 4)
        for i, size in enumerate(sizes)
    ]
    cases = [make_case(x, pool_size, pool_size, padding) for x in maps]
    if "dynamic" in mode:
        function = traced(mode, lambda *case: pool_and_unpool(pooling, unpooling, Case(*case)), *cases[0])
        outcomes = [function(*case) for case in cases]
    else:
        outcomes = run(mode, lambda cases: [pool_and_unpool(pooling, unpooling, case) for case in cases], cases)
    for case, outcome in zip(cases, outcomes, strict=True):
        assert_equals_oracle(outcome, case, pool_size, pool_size, padding)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("size", [(4, 6), (5, 3)], ids=["whole", "odd"])
def test_other_precisions_give_the_same_answer(mode, dtype, size):
    pooling, unpooling = pair(dtype=dtype)
    x = awkward_map(size, batch=2, channels=3).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    case = make_case(x, (2, 2), (2, 2), "same")
    actual = run(mode, lambda case: pool_and_unpool(pooling, unpooling, case), case)
    assert_equals_oracle(actual, case, (2, 2), (2, 2), "same")


def test_signed_zeros_tie_so_the_first_one_is_pooled():
    x = np.array([[-0.0, 0.0], [0.0, 0.0]], "float32").reshape(1, 2, 2, 1)
    for mode in MODES:
        pooled, _ = run(mode, MaxPoolingWithArgmax2D(), x)
        assert np.signbit(pooled).all(), mode


def test_a_hand_written_answer():
    x = np.array([[1, 5, 2], [5, 2, 7], [0, 3, 3]], "float32").reshape(1, 3, 3, 1)
    pooled, codes = MaxPoolingWithArgmax2D()(x)
    assert pooled.numpy().reshape(2, 2).tolist() == [[5, 7], [3, 3]]
    assert codes.numpy().reshape(2, 2).tolist() == [[1, 2], [1, 0]]
    unpooled = MaxUnpooling2D()(np.array([10, 20, 30, 40], "float32").reshape(1, 2, 2, 1), codes, like=x)
    assert unpooled.numpy().reshape(3, 3).tolist() == [[0, 10, 0], [0, 0, 20], [0, 30, 40]]


def test_a_nan_wins_only_as_the_first_member():
    first = np.array([np.nan, 1, 2, 3], "float32").reshape(1, 2, 2, 1)
    later = np.array([0, 1, np.nan, -3], "float32").reshape(1, 2, 2, 1)
    for mode in MODES:
        assert np.isnan(run(mode, MaxPoolingWithArgmax2D(), first)[0]).all(), mode
        assert run(mode, MaxPoolingWithArgmax2D(), later)[0].item() == 1, mode


# Random cases, many in one trace.

VALUES = st.sampled_from([-1.0, 0.0, 1.0, -0.0, -np.inf, np.inf, np.nan, 2.5])
FLOATS = st.sampled_from(["float32", "float16", ml_dtypes.bfloat16])


ANY_SIZE = st.tuples(st.integers(1, 9), st.integers(1, 9))
ANY_POOL_SIZE = st.one_of(st.sampled_from([(2, 2), (3, 3)]), st.tuples(st.integers(1, 4), st.integers(1, 4)))


@st.composite
def maps(draw, sizes=ANY_SIZE, batches=(1, 3), channels=(1, 4)):
    """Maps of few values, so that there are ties of every kind."""
    height, width = draw(sizes)
    shape = (draw(st.integers(*batches)), height, width, draw(st.integers(*channels)))
    values = draw(st.lists(VALUES, min_size=1, max_size=40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random.choice(np.array(values, "float32"), shape)


ANY_STRIDES = st.one_of(st.none(), st.tuples(st.integers(1, 5), st.integers(1, 5)))


@pytest.mark.slow
@settings(max_examples=300)
@given(
    x=maps(),
    pool_size=ANY_POOL_SIZE,
    strides=ANY_STRIDES,
    padding=st.sampled_from(PADDINGS),
    dtype=FLOATS,
    encoding=st.sampled_from([window_encoding, flat_encoding]),
)
def test_random_geometries(x, pool_size, strides, padding, dtype, encoding):
    """Overlaps, gaps and both encodings among them. Updates are whole numbers, so sums of those that meet are exact."""
    strides = strides or pool_size
    case = make_case(x.astype(dtype), pool_size, strides, padding)
    layers = pair(pool_size, strides, padding, encoding, dtype=np.dtype(dtype).name)
    actual = run("eager", lambda case: pool_and_unpool(*layers, case), case)
    assert_equals_oracle(actual, case, pool_size, strides, padding, encoding)


@functools.cache
def pooling_traced(mode, shape):
    pooling, unpooling = pair()
    example = make_case(np.zeros(shape, "float32"), (2, 2), (2, 2), "same")
    return traced(mode, lambda *case: pool_and_unpool(pooling, unpooling, Case(*case)), *example)


@pytest.mark.parametrize(
    ("mode", "shape"),
    [
        ("graph", (2, 6, 4, 3)),
        ("fused", (2, 5, 4, 3)),
        ("xla", (2, 6, 4, 3)),
        ("xla", (1, 5, 7, 2)),
        ("dynamic", (1, 1, 1, 3)),
    ],
)
@settings(max_examples=200)
@given(data=st.data())
def test_random_values_in_compiled_functions(mode, shape, data):
    batch, height, width, channels = shape
    sizes = ANY_SIZE if mode == "dynamic" else st.just((height, width))
    batches = (1, 3) if mode == "dynamic" else (batch, batch)
    case = make_case(data.draw(maps(sizes, batches, (channels, channels))), (2, 2), (2, 2), "same")
    actual = pooling_traced(mode, shape)(*case)
    assert_equals_oracle(actual, case, (2, 2), (2, 2), "same")


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


# Masks of others: positions.


@pytest.mark.parametrize("mode", ["eager", "fused", "dynamic"])
@every_padding
@every_pool_size
def test_without_like_the_result_is_the_size_that_the_windows_cover(mode, padding, pool_size):
    size = (3 * pool_size[0], 2 * pool_size[1])
    x = awkward_map(size, batch=2, channels=2)
    updates = np.arange(24, dtype="float32").reshape(2, 3, 2, 2)

    def function(x, updates):
        _, indices = MaxPoolingWithArgmax2D(pool_size, padding=padding)(x)
        return MaxUnpooling2D(pool_size, padding=padding)(updates, indices)

    positions = oracles.max_pool(x, pool_size, pool_size, padding)[2]
    assert_equal(run(mode, function, x, updates), oracles.scatter(updates, positions, size))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["int64", "int32"])
@every_padding
@pytest.mark.parametrize("size", [(5, 7), (3, 8), (4, 6)])
def test_a_mask_of_tensorflow_unpools_at_any_size(mode, dtype, padding, size):
    x = awkward_map(size, batch=3, channels=4)
    _, mask = tf.nn.max_pool_with_argmax(x, 2, 2, padding.upper(), output_dtype=dtype)
    updates = np.arange(1, 1 + mask.numpy().size, dtype="float32").reshape(mask.shape)
    upstream = np.arange(x.size, dtype="float32").reshape(x.shape)

    def function(updates, mask, like, upstream):
        with tf.GradientTape() as tape:
            tape.watch(updates)
            unpooled = MaxUnpooling2D(padding=padding)(updates, mask, like=like)
        return unpooled, tape.gradient(unpooled, updates, upstream)

    unpooled, gradient = run(mode, function, updates, mask.numpy(), x, upstream)
    assert_equal(unpooled, oracles.scatter(updates, mask.numpy(), size))
    assert_equal(gradient, oracles.gather(upstream, mask.numpy()))


OUTSIDE = {
    "negative": lambda mask, elements: np.where(mask == mask.min(), -1, mask),
    "one beyond": lambda mask, elements: np.where(mask == mask.max(), elements, mask),
    "far beyond": lambda mask, elements: mask + 2**20,
    "counted over the batch": lambda mask, elements: mask + elements * np.arange(len(mask)).reshape(-1, 1, 1, 1),
    "of a map twice as wide": lambda mask, elements: mask // 12 * 24 + mask % 12,
}


@pytest.mark.parametrize(
    ("mode", "dtype"),
    [*((mode, "int32") for mode in MODES), ("eager", "int64"), ("graph", "int64"), ("xla", "float32")],
)
@pytest.mark.parametrize("batch", [1, 3])
def test_positions_outside_the_map_are_refused_and_where_xla_cannot_left_out(mode, dtype, batch):
    x = awkward_map((4, 6), batch, channels=2)
    mask = tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")[1].numpy()
    updates = np.arange(1, 1 + mask.size, dtype="float32").reshape(mask.shape)
    upstream = np.arange(1, 1 + x.size, dtype="float32").reshape(x.shape)

    def function(updates, mask, upstream):
        with tf.GradientTape() as tape:
            tape.watch(updates)
            unpooled = MaxUnpooling2D(name="upsample1")(updates, mask)
        return unpooled, tape.gradient(unpooled, updates, upstream)

    unpool = traced(mode, function, updates, mask.astype(dtype), upstream)
    for outside, spoil in OUTSIDE.items():
        spoilt = spoil(mask, 48).astype(dtype)
        inside = (spoilt >= 0) & (spoilt < 48)
        if "xla" not in mode and not inside.all():
            with pytest.raises(tf.errors.InvalidArgumentError, match=r"upsample1[ :].*include_batch_in_index=False"):
                unpool(updates, spoilt, upstream)
            continue
        unpooled, gradient = unpool(updates, spoilt, upstream)
        known = np.where(inside, spoilt, np.arange(2)).astype("int64")
        assert_equal(unpooled, oracles.scatter(np.where(inside, updates, 0), known, (4, 6)), outside)
        assert_equal(gradient, np.where(inside, oracles.gather(upstream, known), 0).astype("float32"), outside)


def test_half_precision_counts_no_positions():
    """Keras casts a float mask to it, silently."""
    mask = np.zeros((1, 2, 2, 1), "float32")
    with pytest.raises(ValueError, match="indices of integers, or of float32; their dtype is bfloat16"):
        MaxUnpooling2D(dtype="mixed_bfloat16")(mask, mask)


@every_mode
@pytest.mark.parametrize(
    ("pool_size", "strides", "padding", "size"),
    [
        ((3, 3), (1, 1), "same", (5, 4)),
        ((3, 3), (2, 2), "same", (5, 4)),
        ((3, 2), (2, 1), "valid", (7, 5)),
        ((2, 2), (4, 3), "same", (9, 5)),
    ],
)
def test_overlapping_windows_add_up_where_their_maxima_meet_and_gaps_stay_zero(mode, pool_size, strides, padding, size):
    case = make_case(awkward_map(size, batch=2, channels=3), pool_size, strides, padding)
    layers = pair(pool_size, strides, padding)
    actual = run(mode, lambda *case: pool_and_unpool(*layers, Case(*case)), *case)
    assert_equals_oracle(actual, case, pool_size, strides, padding)


@pytest.mark.parametrize("encoding", [arithmetic_encoding, QuantizedEncoding(), QuantizedEncoding(0.5)])
@pytest.mark.parametrize("strides", [1, 4])
def test_exported_graphs_know_no_windows_that_overlap_or_leave_gaps(encoding, strides):
    with pytest.raises(NotImplementedError, match="strides equal to pool_size"):
        pair(3, strides, encoding=encoding)[0](awkward_map((6, 6), batch=1, channels=1))


# What is refused.


@pytest.mark.parametrize("layer", [MaxPoolingWithArgmax2D, MaxUnpooling2D])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_size": 0}, "pool_size must be"),
        ({"pool_size": (2, -1)}, "pool_size must be"),
        ({"pool_size": (2, 2, 2)}, "pool_size must be"),
        ({"pool_size": 2.0}, "pool_size must be"),
        ({"pool_size": None}, "pool_size must be"),
        ({"strides": 0}, "strides must be"),
        ({"padding": "full"}, "padding must be"),
        ({"data_format": "channels_first"}, "data_format must be"),
        ({"pool_size": (12, 11)}, "at most 128 places"),
    ],
)
def test_bad_arguments_are_refused_by_name(layer, arguments, message):
    with pytest.raises(ValueError, match=message):
        layer(**arguments)


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (1, 1, 4, 4, 1)])
def test_pooling_refuses_what_has_not_four_dimensions(shape):
    with pytest.raises(ValueError, match=r"takes a tensor \(batch, height, width, channels\)"):
        MaxPoolingWithArgmax2D()(np.zeros(shape, "float32"))
    with pytest.raises(ValueError, match=r"takes a tensor \(batch, height, width, channels\)"):
        MaxPoolingWithArgmax2D()(keras.KerasTensor(shape))


@pytest.mark.parametrize(
    ("updates", "indices"), [((1, 2, 2, 3), (1, 2, 2, 1)), ((1, 2, 2, 1), (1, 3, 2, 1)), ((2, 2, 1), (2, 2, 1))]
)
def test_unpooling_refuses_indices_of_another_shape(updates, indices):
    with pytest.raises(ValueError, match="of one shape"):
        MaxUnpooling2D()(np.zeros(updates, "float32"), np.zeros(indices, "int64"))
    with pytest.raises(ValueError, match="of one shape"):
        MaxUnpooling2D()(keras.KerasTensor(updates), keras.KerasTensor(indices, "int64"))


def test_pooling_refuses_an_encoding_that_it_does_not_know():
    with pytest.raises(ValueError, match="encoding must be one of 'window', 'flat'; not 'arithmetic'"):
        MaxPoolingWithArgmax2D(encoding="arithmetic")


@pytest.mark.parametrize(("dtype", "compute_dtype"), [("bool", "float32"), ("float32", "float16")])
def test_unpooling_refuses_indices_that_are_no_integers(dtype, compute_dtype):
    # Keras casts a float mask to what the layer computes in, and half precision counts no further than 2048.
    with pytest.raises(ValueError, match="takes indices of integers"):
        MaxUnpooling2D(dtype=compute_dtype)(np.zeros((1, 2, 2, 1), "float32"), np.zeros((1, 2, 2, 1), dtype))


@pytest.mark.parametrize(
    ("padding", "size"), [("same", (4, 7)), ("same", (2, 4)), ("valid", (4, 3)), ("valid", (6, 4)), ("same", (8, 8))]
)
def test_unpooling_refuses_a_like_that_cannot_be_the_pooled_map(padding, size):
    updates, indices = np.zeros((1, 2, 2, 1), "float32"), np.zeros((1, 2, 2, 1), "int64")
    with pytest.raises(ValueError, match="like has height and width"):
        MaxUnpooling2D(padding=padding)(updates, indices, like=np.zeros((1, *size, 1), "float32"))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), ()])
def test_unpooling_refuses_a_like_that_has_not_four_dimensions(shape):
    updates, indices = np.zeros((1, 2, 2, 1), "float32"), np.zeros((1, 2, 2, 1), "int64")
    with pytest.raises(ValueError, match=r"like must be a tensor \(batch, height, width, channels\)"):
        MaxUnpooling2D()(updates, indices, like=np.zeros(shape, "float32"))


# In models.


@pytest.mark.parametrize(
    ("size", "padding", "pooled", "unpooled"),
    [
        ((45, 61), "same", (23, 31), (46, 62)),
        ((45, 61), "valid", (22, 30), (44, 60)),
        ((8, 6), "same", (4, 3), (8, 6)),
        ((None, 61), "same", (None, 31), (None, 62)),
        ((None, None), "valid", (None, None), (None, None)),
    ],
)
def test_symbolic_shapes_are_as_exact_as_the_input_is(size, padding, pooled, unpooled):
    x = keras.Input((*size, 3))
    values, indices = MaxPoolingWithArgmax2D(padding=padding)(x)
    assert values.shape == indices.shape == (None, *pooled, 3)
    assert indices.dtype == "int8"
    assert MaxUnpooling2D(padding=padding)(values, indices).shape == (None, *unpooled, 3)
    assert MaxUnpooling2D(padding=padding)(values, indices, like=x).shape == (None, *size, 3)


def pooling_model(input_shape, pool_size=2):
    x = image = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="before")(x)
    pooled, indices = MaxPoolingWithArgmax2D(pool_size, name="pool")(x)
    values = keras.layers.Conv2D(4, 3, padding="same", name="middle")(pooled)
    unpooled = MaxUnpooling2D(pool_size, name="unpool")(values, indices, like=x)
    return keras.Model(image, keras.layers.Conv2D(2, 3, padding="same", name="after")(unpooled))


def sub_model(model, *tensors):
    return keras.Model(model.input, list(tensors))


@pytest.mark.parametrize("size", [(5, 7), (4, 6), (1, 1)])
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_a_model_of_unknown_size_takes_any_size(size, mode):
    model = pooling_model((None, None, 3))
    model = sub_model(
        model, model.get_layer("before").output, model.get_layer("middle").output, model.get_layer("unpool").output
    )
    image = np.random.default_rng(1).normal(size=(2, *size, 3)).astype("float32")
    before, values, unpooled = run(mode, model, image)
    positions = oracles.max_pool(before, (2, 2), (2, 2), "same")[2]
    assert_equal(unpooled, oracles.scatter(values, positions, size))


def test_a_saved_model_gives_equal_outputs_in_a_new_process(tmp_path):
    fixed, dynamic = pooling_model((6, 6, 3), 3), pooling_model((None, None, 3))
    x = np.random.default_rng(2).normal(size=(2, 6, 6, 3)).astype("float32")
    odd = np.random.default_rng(3).normal(size=(2, 5, 7, 3)).astype("float32")
    np.savez(tmp_path / "inputs.npz", x=x, odd=odd)
    fixed.save(tmp_path / "fixed.keras")
    dynamic.save(tmp_path / "dynamic.keras")
    program = """
import sys
import keras, keras_segnet, numpy as np
folder = sys.argv[1]
inputs = np.load(f"{folder}/inputs.npz")
fixed, dynamic = (keras.models.load_model(f"{folder}/{name}.keras") for name in ("fixed", "dynamic"))
np.savez(f"{folder}/outputs.npz", fixed=fixed(inputs["x"]), dynamic=dynamic(inputs["x"]), odd=dynamic(inputs["odd"]))
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)
    outputs = np.load(tmp_path / "outputs.npz")
    assert_equal(outputs["fixed"], fixed(x).numpy())
    assert_equal(outputs["dynamic"], dynamic(x).numpy())
    assert_equal(outputs["odd"], dynamic(odd).numpy())


@pytest.fixture
def nondeterministic():
    """Undoes what training runs of other tests switched on for the whole process: under it, Keras compiles nothing."""
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    config.disable_op_determinism()
    yield
    if before:
        config.enable_op_determinism()


@pytest.mark.filterwarnings("error:Model doesn't support")
@pytest.mark.parametrize(
    ("jit_compile", "input_shape"),
    [
        ("auto", (6, 8, 3)),
        (False, (5, 7, 3)),
        (True, (6, 8, 3)),
        (True, (5, 7, 3)),
        (True, (None, None, 3)),
        ("auto", (None, None, 3)),
    ],
)
def test_a_model_trains_whatever_jit_compile_is(jit_compile, input_shape, nondeterministic):
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(0)
    x = random.normal(size=(8, *(n or 5 for n in input_shape[:2]), 3)).astype("float32")
    labels = (x.sum(axis=-1) > 0).astype("int32")
    model = pooling_model(input_shape)
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    # TensorFlow's kernels train faster, so XLA is taken only by who asks for it.
    assert model.jit_compile is (jit_compile is True)
    losses = model.fit(x, labels, batch_size=8, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    assert model.evaluate(x, labels, verbose=0) < losses[0]
    assert model.predict(x, verbose=0).shape == (*labels.shape, 2)


@pytest.mark.parametrize("input_shape", [(6, 8, 3), (5, 7, 3), (None, None, 3)], ids=["whole", "odd", "dynamic"])
def test_a_step_of_training_is_the_same_with_and_without_xla(input_shape):
    x = np.random.default_rng(0).normal(size=(4, *(n or 5 for n in input_shape[:2]), 3)).astype("float32")
    labels = (x.sum(axis=-1) > 0).astype("int32")
    weights = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(3)
        model = pooling_model(input_shape)
        model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.optimizer.build(model.trainable_variables)
        before = model.get_weights()
        tf.function(model.train_step, jit_compile=jit_compile)((x, labels))
        weights.append(model.get_weights())
        assert all((new != old).any() for new, old in zip(weights[-1], before, strict=True))
    for without, compiled in zip(*weights, strict=True):
        np.testing.assert_allclose(compiled, without, atol=1e-6)
