"""Where pooling windows lie along the axes of a map: how many, and how far the first one hangs over the start.

The same formulas serve sizes that are ints and sizes that are tensors.
"""

from __future__ import annotations

from typing import NamedTuple

from keras import ops

from keras_segnet.layers.tensor import Size


class Windows(NamedTuple):
    """Windows along one axis."""

    count: Size
    """Number of windows, which is the pooled size."""
    before: Size
    """Number of elements of the first window that lie before the start of the map (0 with padding "valid")."""
    covered: Size
    """Elements from the start of the first window to the end of the last."""


class Pooling(NamedTuple):
    """How windows are laid over a map: `(rows, columns)` each."""

    pool_size: tuple[int, int]
    strides: tuple[int, int]
    padding: str
    """`"same"` or `"valid"`."""

    @property
    def touches(self) -> bool:
        """Whether each element lies in exactly one window: no overlaps, no gaps."""
        return self.strides == self.pool_size

    @property
    def places(self) -> list[tuple[int, int]]:
        """Row and column of each place in a window, in row-major order."""
        return [(row, column) for row in range(self.pool_size[0]) for column in range(self.pool_size[1])]

    def windows(self, size: tuple[Size, Size]) -> tuple[Windows, Windows]:
        """Windows along the rows and along the columns of a map of `size`."""
        rows, columns = (
            lay_windows(n, p, s, self.padding) for n, p, s in zip(size, self.pool_size, self.strides, strict=True)
        )
        return rows, columns

    def pooled_size(self, size: tuple[int | None, int | None]) -> tuple[int | None, int | None]:
        """Number of windows along both axes; None where the map's size is not known."""
        rows, columns = (
            None if n is None else lay_windows(n, p, s, self.padding).count
            for n, p, s in zip(size, self.pool_size, self.strides, strict=True)
        )
        return rows, columns

    def unpooled_size(self, counts: tuple[Size | None, Size | None]) -> tuple[Size | None, Size | None]:
        """Size of the map that so many windows cover when nothing else is known of it."""
        height, width = (
            None if n is None else n * s if self.padding == "same" else (n - 1) * s + p
            for n, p, s in zip(counts, self.pool_size, self.strides, strict=True)
        )
        return height, width


def lay_windows(size: Size, pool_size: int, stride: int, padding: str) -> Windows:
    """Lays windows along an axis of `size` elements by TensorFlow's rules for SAME and VALID.

    For windows of 2 with stride 2, SAME is the ceiling rule of Caffe-SegNet: 45 elements give 23 windows, of which
    the last one is half empty and none hangs over the start.
    """
    if padding == "valid":
        count, before = at_least_zero((size - pool_size) // stride + 1), 0
    else:
        count = (size + stride - 1) // stride
        before = at_least_zero((count - 1) * stride + pool_size - size) // 2
    return Windows(count, before, at_least_zero((count - 1) * stride + pool_size))


def at_least_zero(size: Size) -> Size:
    """`max(size, 0)` that keeps an int an int."""
    return max(size, 0) if isinstance(size, int) else ops.maximum(size, 0)
