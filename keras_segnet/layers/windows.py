"""Maps taken apart into the members of their windows, and put together again."""

from __future__ import annotations

from keras import ops

from keras_segnet.layers.geometry import Pooling, Windows, at_least_zero
from keras_segnet.layers.tensor import Size, Tensor


def split_windows(covered: Tensor, pooling: Pooling, rows: Windows, columns: Windows) -> list[Tensor]:
    """The members of every window in row-major order, each `(batch, rows of windows, columns of windows, channels)`.

    Args:
        covered: the map from the start of the first window to the end of the last.
        pooling: the windows.
        rows, columns: how they lie.
    """
    (height, width), (down, right) = pooling.pool_size, pooling.strides
    if pooling.touches and height == width:
        if height == 1:
            return [covered]
        return list(
            ops.split(ops.space_to_depth(covered, height, data_format="channels_last"), height * width, axis=-1)
        )
    return [
        covered[:, row : row + rows.count * down : down, column : column + columns.count * right : right]
        for row, column in pooling.places
    ]


def join_windows(members: list[Tensor], pool_size: tuple[int, int]) -> Tensor:
    """Undoes `split_windows` of windows that touch."""
    rows, columns = pool_size
    if rows == columns:
        if rows == 1:
            return members[0]
        return ops.depth_to_space(ops.concatenate(members, axis=-1), rows, data_format="channels_last")
    batch, height, width, channels = ops.shape(members[0])
    lines = [
        ops.reshape(
            ops.stack(members[row * columns : (row + 1) * columns], axis=3), (batch, height, width * columns, channels)
        )
        for row in range(rows)
    ]
    return ops.reshape(ops.stack(lines, axis=2), (batch, height * rows, width * columns, channels))


def uncover(covered: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
    """Cuts a map of `size` out of what its windows cover."""
    rows, columns = pooling.windows(size)
    return fit(covered, *size, -rows.before, -columns.before, 0.0)


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
