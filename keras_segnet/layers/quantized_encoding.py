"""The window encoding by arithmetic alone, for graphs whose tensors will be int8.

Comparisons and selections of int8 have slow kernels, additions and multiplications fast ones. Here a member of a window
that is not its maximum is found by a difference that saturates: the map is stretched so that one step of int8 is worth
six, then `relu6(maximum - member)` is 0 for the maximum and 6 for everything else. In float32 that is so only for
values that are at least a step apart, so this serves no graph but a quantised one. XNNPACK takes such a difference as
long as its input's steps are less than 256 times its output's; here they are 255 times as large.

Codes are `6 * place`, the place as in `window_encoding`; each takes one byte when it is int8. The sums and differences
of zeros and sixes below are exact in int8.
"""

from __future__ import annotations

import functools
from typing import Any

from keras import ops

from keras_segnet.layers import window_encoding
from keras_segnet.layers.geometry import Size, lay_windows

Tensor = Any

UNIT = 6.0
"""Of the codes: what ReLU6, which kernels apply for nothing, saturates at."""


def max_pool(x: Tensor, pool_size: tuple[int, int], padding: str, step: float) -> tuple[Tensor, Tensor]:
    """Pools windows that touch without overlapping, of a map without negative values (after a ReLU).

    Args:
        x: tensor `(batch, height, width, channels)`.
        pool_size: `(rows, columns)` of a window; with padding `"same"`, at most 2 each.
        padding: `"same"` or `"valid"`.
        step: difference of neighbouring int8 values of `x`.

    Returns:
        `(pooled, codes)`, both `(batch, rows of windows, columns of windows, channels)`.
    """
    if pool_size == (1, 1):
        return x, ops.zeros_like(x)
    # Every tensor from here to the differences has one scale, so equal values stay equal.
    stretched = x * (UNIT / step)
    height, width = ops.shape(x)[1:3]
    rows = lay_windows(height, pool_size[0], pool_size[0], padding).count
    columns = lay_windows(width, pool_size[1], pool_size[1], padding).count
    covered = window_encoding.fit(stretched, rows * pool_size[0], columns * pool_size[1], 0, 0, 0.0)
    members = window_encoding.split_windows(covered, pool_size)
    best = ops.max_pool(covered, pool_size, pool_size, "valid", data_format="channels_last")
    no_maximum_yet = [ops.relu6(best - members[0])]
    for member in members[1:-1]:
        no_maximum_yet.append(ops.relu6(no_maximum_yet[-1] - (UNIT - ops.relu6(best - member))))
    # Changes nothing: if no other member is the maximum, the last one is. But a split of which one part has no use is
    # left in float32 by the converter, now and then.
    no_maximum_yet[-1] = ops.relu6(no_maximum_yet[-1] - ops.relu6(best - members[-1]))
    codes = functools.reduce(ops.add, no_maximum_yet)
    # Not `best` shrunk again: the converter measures a tensor wrongly if a product is all that is made of it, because
    # the product then overwrites it. So `x` needs this second use.
    return ops.max_pool(x, pool_size, pool_size, padding, data_format="channels_last"), codes


def max_unpool(
    updates: Tensor, codes: Tensor, pool_size: tuple[int, int], padding: str, size: tuple[Size, Size] | None
) -> Tensor:
    """Writes each update at its place in its window and zero elsewhere; as `window_encoding.max_unpool`."""
    scaled = updates * (1 / UNIT)
    written = []
    at_or_beyond: Tensor = UNIT  # Whether the code is this place's or that of a later one: 0 or 6.
    for place in range(pool_size[0] * pool_size[1] - 1):
        if place == 0:
            # ReLU6 comes with a difference for nothing; by itself it has no fast kernel in int8.
            here = ops.relu6(UNIT - codes)
            beyond = UNIT - here
        else:
            beyond = ops.relu6(codes - UNIT * place)
            here = at_or_beyond - beyond
        written.append(scaled * here)
        at_or_beyond = beyond
    # The other way round, so that `updates` has a second use; see `max_pool`.
    written.append(updates * (at_or_beyond * (1 / UNIT)))
    return window_encoding.uncover(window_encoding.join_windows(written, pool_size), pool_size, padding, size)
