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

from keras import ops

from keras_segnet.layers import arithmetic_encoding
from keras_segnet.layers.geometry import Pooling
from keras_segnet.layers.tensor import Size, Tensor
from keras_segnet.layers.windows import fit, join_windows, split_windows, uncover

UNIT = 6.0
"""Difference of neighbouring codes: the value at which ReLU6 saturates, which kernels apply at no cost."""


class QuantizedEncoding:
    """The encoding of one layer of an int8 graph.

    Args:
        step: of a pooling layer, the difference of neighbouring int8 values of its input, which must not be negative
            and whose windows must not hang over the start of the map. Default None: no such step; codes are found as
            by `arithmetic_encoding`.
    """

    NAME = "quantized"

    def __init__(self, step: float | None = None) -> None:
        self.step = step

    def index_dtype(self, dtype: str) -> str:
        """Dtype of the codes: that of the map."""
        return dtype

    def max_pool(self, x: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
        """Pools windows that touch: `(pooled, codes)`; see `arithmetic_encoding.max_pool`."""
        if self.step is None:
            pooled, codes = arithmetic_encoding.max_pool(x, pooling)
            return pooled, codes * UNIT
        return _max_pool(x, pooling, self.step)

    def max_unpool(self, updates: Tensor, indices: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
        """Writes each update at its place in its window and zero elsewhere; as `window_encoding.max_unpool`."""
        return _max_unpool(updates, ops.cast(indices, updates.dtype), pooling, size)


def _max_pool(x: Tensor, pooling: Pooling, step: float) -> tuple[Tensor, Tensor]:
    arithmetic_encoding.require_touching(pooling)
    pool_size = pooling.pool_size
    if pool_size == (1, 1):
        return x, ops.zeros_like(x)
    # Every tensor from here to the differences has one scale, so equal values stay equal.
    stretched = x * (UNIT / step)
    rows, columns = pooling.windows(ops.shape(x)[1:3])
    covered = fit(stretched, rows.covered, columns.covered, 0, 0, 0.0)
    members = split_windows(covered, pooling, rows, columns)
    best = ops.max_pool(covered, pool_size, pool_size, "valid", data_format="channels_last")
    no_maximum_yet = [ops.relu6(best - members[0])]
    for member in members[1:-1]:
        no_maximum_yet.append(ops.relu6(no_maximum_yet[-1] - (UNIT - ops.relu6(best - member))))
    # Changes nothing: if no other member is the maximum, the last one is. But a split of which one part has no use is
    # left in float32 by the converter, now and then.
    no_maximum_yet[-1] = ops.relu6(no_maximum_yet[-1] - ops.relu6(best - members[-1]))
    codes = functools.reduce(ops.add, no_maximum_yet)
    # Not `best` shrunk again: a product that is all that is made of a tensor overwrites it, and then TensorFlow's own
    # calibration measures the tensor wrongly. So `x` needs this second use where others calibrate.
    return ops.max_pool(x, pool_size, pool_size, pooling.padding, data_format="channels_last"), codes


def _max_unpool(updates: Tensor, codes: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
    scaled = updates * (1 / UNIT)
    written = []
    at_or_beyond: Tensor = UNIT  # Whether the code is this place's or that of a later one: 0 or 6.
    for place in range(len(pooling.places) - 1):
        if place == 0:
            # ReLU6 comes with a difference for nothing; by itself it has no fast kernel in int8.
            here = ops.relu6(UNIT - codes)
            beyond = UNIT - here
        else:
            beyond = ops.relu6(codes - UNIT * place)
            here = at_or_beyond - beyond
        written.append(scaled * here)
        at_or_beyond = beyond
    # The other way round, so that `updates` has a second use; else the converter folds 1 / UNIT into the convolution.
    written.append(updates * (at_or_beyond * (1 / UNIT)))
    return uncover(join_windows(written, pooling.pool_size), pooling, size)
