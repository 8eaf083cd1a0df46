"""Pooling with indices and unpooling equal the numpy oracle, gradients included, however they are run."""

import functools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pooling_cases import (
    ANY_POOL_SIZE,
    ANY_SIZE,
    ANY_STRIDES,
    FEW_SIZES,
    FLOATS,
    MODES,
    PADDINGS,
    SIZES,
    Case,
    assert_equals_oracle,
    awkward_map,
    every_mode,
    every_padding,
    every_pool_size,
    make_case,
    maps,
    pair,
    pool_and_unpool,
    run,
    traced,
)

from keras_segnet.layers import (
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    flat_encoding,
    window_encoding,
)


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
@pytest.mark.parametrize(
    ("dtype", "size"), [("float16", (4, 6)), ("float16", (5, 3)), ("bfloat16", (5, 3)), ("float64", (4, 6))]
)
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


# Random cases, many in one trace.


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
