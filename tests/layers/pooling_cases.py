"""What pooling and unpooling are tested with: cases, their answers, and TensorFlow's ways to run a function."""

from typing import NamedTuple

import ml_dtypes
import numpy as np
import oracles
import pytest
import tensorflow as tf
from hypothesis import strategies as st

from keras_segnet.layers import (
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
    flat_encoding,
    fusion,
    window_encoding,
)

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


# Random maps.

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
