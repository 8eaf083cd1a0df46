"""Indices as places in the pooling window: one small integer a window, made from portable ops.

The code of a window of `pool_size` (p, q) is `row * q + column` of its maximum, counted from the window's first corner.
It means the same whatever the map's size and whoever computes it, so encoder and decoder may run apart.

The maximum is found by a chain of strict comparisons in row-major order, so the first maximum wins, as in
`tf.nn.max_pool_with_argmax` and in Caffe-SegNet. A NaN wins only as the first member of its window, again as there.
"""

from __future__ import annotations

import functools

from keras import ops

from keras_segnet.layers.fusion import fused, with_gradient
from keras_segnet.layers.geometry import Pooling, Windows
from keras_segnet.layers.positions import positions_of, scatter
from keras_segnet.layers.tensor import Size, Tensor
from keras_segnet.layers.windows import fit, split_windows, uncover

NAME = "window"


def index_dtype(dtype: str) -> str:
    """Dtype of the codes, whatever the map's."""
    return "int8"


def max_pool(x: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
    """Pools a map.

    Args:
        x: float tensor `(batch, height, width, channels)`.
        pooling: the windows.

    Returns:
        `(pooled, codes)`, both `(batch, rows of windows, columns of windows, channels)`; the codes are int8.
    """
    size = ops.shape(x)[1:3]
    return with_gradient(
        lambda x: _max_pool(x, pooling),
        lambda outputs, upstream: max_unpool(upstream, outputs[1], pooling, size),
        x,
    )


def max_unpool(updates: Tensor, indices: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
    """Writes each update at its place in its window and zero elsewhere.

    Where windows overlap and maxima meet, the updates are added. Of windows that touch, codes beyond the last place
    write nothing.

    Args:
        updates: tensor `(batch, rows of windows, columns of windows, channels)`.
        indices: tensor of the same shape, the codes of `max_pool`.
        pooling: the windows, as in `max_pool`.
        size: height and width of the result.

    Returns:
        Tensor `(batch, height, width, channels)` of the dtype of `updates`.
    """
    if not pooling.touches:
        return scatter(updates, positions_of(indices, pooling, size), size)
    return with_gradient(
        lambda updates: _max_unpool(updates, indices, pooling, size),
        lambda _, upstream: _gather(upstream, indices, pooling),
        updates,
    )


@fused
def _max_pool(x: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
    rows, columns = pooling.windows(ops.shape(x)[1:3])
    members = split_windows(
        fit(x, rows.covered, columns.covered, rows.before, columns.before, float("-inf")), pooling, rows, columns
    )
    # Only a window of three or more can hang over the start of the map. Its first members are then padding, which
    # must lose even against minus infinity.
    hangs_over_start = pooling.padding == "same" and max(pooling.pool_size) > 2
    best, code = members[0], ops.zeros_like(members[0], dtype="int8")
    if hangs_over_start:
        inside = [_inside(rows, columns, pooling, place) for place in pooling.places]
        nothing_yet = ~inside[0]
    for place, member in enumerate(members[1:], start=1):
        better = member > best
        if hangs_over_start:
            better = better | (nothing_yet & inside[place])
            nothing_yet = nothing_yet & ~inside[place]
        best = ops.where(better, member, best)
        code = ops.where(better, ops.cast(place, "int8"), code)
    return best, code


def _inside(rows: Windows, columns: Windows, pooling: Pooling, place: tuple[int, int]) -> Tensor:
    """Whether the member at `place` of each window lies behind the start of the map: bool `(rows, columns, 1)`."""
    row, column = (
        ops.arange(windows.count) * stride + start >= windows.before
        for windows, stride, start in zip((rows, columns), pooling.strides, place, strict=True)
    )
    return row[:, None, None] & column[:, None]


@fused
def _max_unpool(updates: Tensor, codes: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
    def over_windows(x: Tensor) -> Tensor:
        for axis, count in enumerate(pooling.pool_size, start=1):
            x = ops.repeat(x, count, axis=axis) if count > 1 else x
        return x

    covered, codes = over_windows(updates), over_windows(codes)
    height, width = ops.shape(covered)[1:3]
    rows, columns = pooling.pool_size
    places = (ops.arange(height) % rows * columns)[:, None, None] + (ops.arange(width) % columns)[:, None]
    written = ops.where(codes == ops.cast(places, "int8"), covered, ops.cast(0, covered.dtype))
    return uncover(written, pooling, size)


@fused
def _gather(x: Tensor, codes: Tensor, pooling: Pooling) -> Tensor:
    """The member of each window that its code names, 0 where none does."""
    rows, columns = pooling.windows(ops.shape(x)[1:3])
    members = split_windows(
        fit(x, rows.covered, columns.covered, rows.before, columns.before, 0.0), pooling, rows, columns
    )
    zero = ops.cast(0, x.dtype)
    return functools.reduce(
        lambda found, place: ops.where(codes == place, members[place], found), range(len(members)), zero
    )
