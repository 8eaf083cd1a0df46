"""Where pooling windows lie along an axis: how many, and how far the first one hangs over the start.

A size is an int, or a scalar tensor where TensorFlow knows it only at run time. The same formulas serve both.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

Size = Any
"""An int, or a scalar integer tensor."""


class Windows(NamedTuple):
    count: Size
    """Number of windows along the axis, which is the pooled size."""
    before: Size
    """Elements by which the first window hangs over the start of the map (0 with padding "valid")."""


def lay_windows(size: Size, pool_size: int, stride: int, padding: str) -> Windows:
    """Lays windows along an axis of `size` elements by TensorFlow's rules for SAME and VALID.

    For windows of 2 with stride 2, SAME is the ceiling rule of Caffe-SegNet: 45 elements give 23 windows, of which
    the last one is half empty and none hangs over the start.
    """
    if padding == "valid":
        return Windows((size - pool_size) // stride + 1, 0)
    count = (size + stride - 1) // stride
    overhang = (count - 1) * stride + pool_size - size
    return Windows(count, at_least_zero(overhang) // 2)


def at_least_zero(size: Size) -> Size:
    """`max(size, 0)` that keeps an int an int."""
    return max(size, 0) if isinstance(size, int) else ops.maximum(size, 0)


def unpooled_size(count: int | None, pool_size: int, stride: int, padding: str) -> int | None:
    """Size of the map that `count` windows cover when nothing else is known of it."""
    if count is None:
        return None
    return count * stride if padding == "same" else (count - 1) * stride + pool_size
