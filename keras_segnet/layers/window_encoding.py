"""Indices as places in the pooling window: one small integer a window, made from portable ops.

The code of a window of `pool_size` (p, q) is `row * q + column` of its maximum, counted from the window's first corner.
Everything here is built from space-to-depth, comparisons, selections and depth-to-space, which XLA, JAX
and PyTorch all have and which keep tensors at four dimensions.

The maximum is found by a chain of strict comparisons in row-major order, so the first maximum wins, as in
`tf.nn.max_pool_with_argmax` and in Caffe-SegNet. A NaN wins only as the first member of its window, again as there.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_segnet.layers.geometry import Size, at_least_zero, lay_windows

Tensor = Any


def max_pool(x: Tensor, pool_size: tuple[int, int], padding: str) -> tuple[Tensor, Tensor]:
    """Pools windows that touch without overlapping (stride = window).

    Args:
        x: float tensor `(batch, height, width, channels)`.
        pool_size: `(rows, columns)` of a window.
        padding: `"same"` or `"valid"`.

    Returns:
        `(pooled, codes)`, both `(batch, rows of windows, columns of windows, channels)`; the codes are int8.
    """
    height, width = ops.shape(x)[1:3]
    rows = lay_windows(height, pool_size[0], pool_size[0], padding)
    columns = lay_windows(width, pool_size[1], pool_size[1], padding)
    covered = fit(
        x, rows.count * pool_size[0], columns.count * pool_size[1], rows.before, columns.before, float("-inf")
    )
    members = split_windows(covered, pool_size)

    # Only a window of three or more can hang over the start of the map. Its first members are then padding, which
    # must lose even against minus infinity.
    hangs_over_start = padding == "same" and max(pool_size) > 2
    best, code = members[0], ops.zeros_like(members[0], dtype="int8")
    if hangs_over_start:
        inside = [
            _inside(rows, pool_size[0], row)[:, None, None] & _inside(columns, pool_size[1], column)[:, None]
            for row in range(pool_size[0])
            for column in range(pool_size[1])
        ]
        nothing_yet = ~inside[0]
    for place, member in enumerate(members[1:], start=1):
        better = member > best
        if hangs_over_start:
            better = better | (nothing_yet & inside[place])
            nothing_yet = nothing_yet & ~inside[place]
        best = ops.where(better, member, best)
        code = ops.where(better, ops.cast(place, "int8"), code)
    return best, code


def max_unpool(
    updates: Tensor, codes: Tensor, pool_size: tuple[int, int], padding: str, size: tuple[Size, Size] | None
) -> Tensor:
    """Writes each update at its place in its window and zero elsewhere.

    Args:
        updates: tensor `(batch, rows of windows, columns of windows, channels)`.
        codes: tensor of the same shape, from `max_pool`.
        pool_size: `(rows, columns)` of a window.
        padding: `"same"` or `"valid"`, as in `max_pool`.
        size: height and width of the result; None means whole windows.

    Returns:
        Tensor `(batch, height, width, channels)` of the dtype of `updates`.
    """
    zero = ops.zeros_like(updates)
    places = [ops.where(codes == place, updates, zero) for place in range(pool_size[0] * pool_size[1])]
    return uncover(join_windows(places, pool_size), pool_size, padding, size)


def uncover(covered: Tensor, pool_size: tuple[int, int], padding: str, size: tuple[Size, Size] | None) -> Tensor:
    """Cuts the map out of what its windows cover; None means all of it."""
    if size is None:
        return covered
    height, width = size
    top = -lay_windows(height, pool_size[0], pool_size[0], padding).before
    left = -lay_windows(width, pool_size[1], pool_size[1], padding).before
    return fit(covered, height, width, top, left, 0.0)


def split_windows(x: Tensor, pool_size: tuple[int, int]) -> list[Tensor]:
    """The members of every window in row-major order, each `(batch, rows of windows, columns of windows, channels)`."""
    rows, columns = pool_size
    if rows == columns:
        return (
            list(ops.split(ops.space_to_depth(x, rows, data_format="channels_last"), rows * columns, axis=-1))
            if rows > 1
            else [x]
        )
    return [x[:, row::rows, column::columns, :] for row in range(rows) for column in range(columns)]


def join_windows(members: list[Tensor], pool_size: tuple[int, int]) -> Tensor:
    """Undoes `split_windows`."""
    rows, columns = pool_size
    if rows == columns:
        return (
            ops.depth_to_space(ops.concatenate(members, axis=-1), rows, data_format="channels_last")
            if rows > 1
            else members[0]
        )
    batch, height, width, channels = ops.shape(members[0])
    lines = [
        ops.reshape(
            ops.stack(members[row * columns : (row + 1) * columns], axis=3), (batch, height, width * columns, channels)
        )
        for row in range(rows)
    ]
    return ops.reshape(ops.stack(lines, axis=2), (batch, height * rows, width * columns, channels))


def _inside(windows: Any, pool_size: int, place: int) -> Tensor:
    """Whether member `place` of each window lies at or behind the start of the map: bool `(windows,)`."""
    return ops.arange(windows.count) * pool_size + place >= windows.before


def fit(x: Tensor, height: Size, width: Size, top: Size, left: Size, fill: float) -> Tensor:
    """Lays a map into another height and width, `top` and `left` elements from the corner (negative: cut off)."""
    for axis, size, start in ((1, height, top), (2, width, left)):
        old = ops.shape(x)[axis]
        before, after, first = at_least_zero(start), at_least_zero(size - old - start), at_least_zero(-start)
        if not (_is_zero(before) and _is_zero(after)):
            pads: list[list[Size]] = [[0, 0]] * 4
            pads[axis] = [before, after]
            x = ops.pad(x, pads, constant_values=fill)
        if not (_is_zero(first) and _is_zero(before + old + after - size)):
            x = x[:, first : first + size] if axis == 1 else x[:, :, first : first + size]
    return x


def _is_zero(size: Size) -> bool:
    return isinstance(size, int) and size == 0
