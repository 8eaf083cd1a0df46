"""The window encoding by arithmetic alone, for exported graphs of floating point.

Runtimes on the edge have fast kernels for sums and products and slow ones, or on OpenGL ES none, for comparisons,
selections and splits. Here the members of a window are gathered by depthwise convolutions with a single one in their
kernel, and `floor(member - maximum)`, held to -1 and up, is -1 for a member that is not the maximum and 0 for one that
is, however small the difference. Nothing is rounded: codes, and what is unpooled, equal those of `window_encoding` for
all finite maps, on GPUs that compute in float16 too. (Of two infinities the difference is no number.)

Codes are places as in `window_encoding`, in the dtype of the map.
"""

from __future__ import annotations

import ml_dtypes
import numpy as np
from keras import backend, ops

from keras_segnet.layers import window_encoding
from keras_segnet.layers.geometry import Size, lay_windows
from keras_segnet.layers.window_encoding import Tensor


def max_pool(x: Tensor, pool_size: tuple[int, int], padding: str) -> tuple[Tensor, Tensor]:
    """Pools windows that touch without overlapping.

    Some GPU kernels of max pooling start at -10000, so a map should not be below that: pool after a ReLU.

    Args:
        x: float tensor `(batch, height, width, channels)` of a known number of channels.
        pool_size: `(rows, columns)` of a window.
        padding: `"same"` or `"valid"`.

    Returns:
        `(pooled, codes)`, both `(batch, rows of windows, columns of windows, channels)`.
    """
    if pool_size == (1, 1):
        return x, ops.zeros_like(x)
    height, width = ops.shape(x)[1:3]
    rows = lay_windows(height, pool_size[0], pool_size[0], padding)
    columns = lay_windows(width, pool_size[1], pool_size[1], padding)
    # The lowest number and not minus infinity, which a convolution would multiply by zero.
    lowest = float(ml_dtypes.finfo(backend.standardize_dtype(x.dtype)).min)
    covered = window_encoding.fit(
        x, rows.count * pool_size[0], columns.count * pool_size[1], rows.before, columns.before, lowest
    )
    best = ops.max_pool(x, pool_size, pool_size, padding, data_format="channels_last")
    places = [(row, column) for row in range(pool_size[0]) for column in range(pool_size[1])]
    # -1 where a member is not the maximum. The last member needs no look: if no other one is the maximum, it is.
    not_best = [ops.floor(_hold(_gather(covered, pool_size, place) - best)) for place in places[:-1]]
    # With n for 1 where a member is not the maximum, the place is n0 + n0 n1 + n0 n1 n2 = n0 (1 + n1 (1 + n2)).
    code = -not_best[-1]
    for one in not_best[-2::-1]:
        code = one * (-1.0 - code)
    return best, code


def max_unpool(
    updates: Tensor, codes: Tensor, pool_size: tuple[int, int], padding: str, size: tuple[Size, Size] | None
) -> Tensor:
    """Writes each update at its place in its window and zero elsewhere; as `window_encoding.max_unpool`."""
    codes = ops.cast(codes, updates.dtype)
    last = pool_size[0] * pool_size[1] - 1
    # By how many places the code lies beyond each place. From one to the next that falls by one until it is zero, so
    # the differences are ones where updates belong beyond a place, and zeros.
    beyond = [codes, *(ops.relu(codes - float(place)) for place in range(1, last))]
    written, remaining = [], updates
    for place in range(last):
        passed_on = updates * (beyond[place] if place == last - 1 else beyond[place] - beyond[place + 1])
        written.append(remaining - passed_on)
        remaining = passed_on
    written.append(remaining)
    return window_encoding.uncover(window_encoding.join_windows(written, pool_size), pool_size, padding, size)


def _gather(covered: Tensor, pool_size: tuple[int, int], place: tuple[int, int]) -> Tensor:
    """The member at `place` of every window."""
    row, column = place
    if pool_size[0] != pool_size[1]:  # TensorFlow has no such depthwise convolution.
        return covered[:, row :: pool_size[0], column :: pool_size[1]]
    kernel = np.zeros((row + 1, column + 1, covered.shape[-1], 1), "float32")
    kernel[row, column] = 1
    return ops.depthwise_conv(
        covered, ops.cast(kernel, covered.dtype), strides=pool_size, padding="valid", data_format="channels_last"
    )


def _hold(difference: Tensor) -> Tensor:
    """At least -1. That it is at most 0 is clear; said here too, it becomes one with the subtraction."""
    return ops.maximum(ops.minimum(difference, 1.0), -1.0)
