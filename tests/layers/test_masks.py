"""Unpooling by the masks of others, which hold positions, and without the map that was pooled."""

import numpy as np
import oracles
import pytest
import tensorflow as tf
from pooling_cases import (
    MODES,
    assert_equal,
    awkward_map,
    every_padding,
    every_pool_size,
    run,
    traced,
)

from keras_segnet.layers import (
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
)


@pytest.mark.parametrize("mode", ["eager", "fused", "dynamic"])
@every_padding
@every_pool_size
def test_without_like_the_result_is_the_size_that_the_windows_cover(mode, padding, pool_size):
    size = (3 * pool_size[0], 2 * pool_size[1])
    x = awkward_map(size, batch=1, channels=7)  # Of each kind of map.
    updates = np.arange(42, dtype="float32").reshape(1, 3, 2, 7)

    def function(x, updates):
        _, indices = MaxPoolingWithArgmax2D(pool_size, padding=padding)(x)
        return MaxUnpooling2D(pool_size, padding=padding)(updates, indices)

    positions = oracles.max_pool(x, pool_size, pool_size, padding)[2]
    assert_equal(run(mode, function, x, updates), oracles.scatter(updates, positions, size))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("dtype", "size"), [("int64", (5, 7)), ("int32", (3, 8)), ("int64", (4, 6))])
@every_padding
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
    ("mode", "dtype", "batch"),
    [*((mode, "int32", 3) for mode in MODES), ("eager", "int64", 1), ("graph", "int64", 1), ("xla", "float32", 1)],
)
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
