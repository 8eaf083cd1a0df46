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

from keras_segnet.layers.geometry import Pooling
from keras_segnet.layers.tensor import Size, Tensor
from keras_segnet.layers.windows import fit, join_windows, uncover

NAME = "arithmetic"


def index_dtype(dtype: str) -> str:
    """Dtype of the codes: that of the map."""
    return dtype


def max_pool(x: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
    """Pools windows that touch without overlapping.

    Some GPU kernels of max pooling start at -10000, so a map should not be below that: pool after a ReLU.

    Args:
        x: float tensor `(batch, height, width, channels)` of a known number of channels.
        pooling: the windows.

    Returns:
        `(pooled, codes)`, both `(batch, rows of windows, columns of windows, channels)`.

    Raises:
        NotImplementedError: windows overlap or leave gaps.
    """
    require_touching(pooling)
    pool_size = pooling.pool_size
    if pool_size == (1, 1):
        return x, ops.zeros_like(x)
    rows, columns = pooling.windows(ops.shape(x)[1:3])
    # The lowest number and not minus infinity, which a convolution would multiply by zero.
    lowest = float(ml_dtypes.finfo(backend.standardize_dtype(x.dtype)).min)
    covered = fit(x, rows.covered, columns.covered, rows.before, columns.before, lowest)
    best = ops.max_pool(x, pool_size, pool_size, pooling.padding, data_format="channels_last")
    # -1 where a member is not the maximum. The last member needs no look: if no other one is the maximum, it is.
    not_best = [ops.floor(_hold(_gather(covered, pool_size, place) - best)) for place in pooling.places[:-1]]
    # With n for 1 where a member is not the maximum, the place is n0 + n0 n1 + n0 n1 n2 = n0 (1 + n1 (1 + n2)).
    code = -not_best[-1]
    for one in not_best[-2::-1]:
        code = one * (-1.0 - code)
    return best, code


def max_unpool(updates: Tensor, indices: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
    """Writes each update at its place in its window and zero elsewhere; as `window_encoding.max_unpool`."""
    require_touching(pooling)
    codes = ops.cast(indices, updates.dtype)
    last = len(pooling.places) - 1
    # By how many places the code lies beyond each place. From one to the next that falls by one until it is zero, so
    # the differences are ones where updates belong beyond a place, and zeros.
    beyond = [codes, *(ops.relu(codes - float(place)) for place in range(1, last))]
    written, remaining = [], updates
    for place in range(last):
        passed_on = updates * (beyond[place] if place == last - 1 else beyond[place] - beyond[place + 1])
        written.append(remaining - passed_on)
        remaining = passed_on
    written.append(remaining)
    return uncover(join_windows(written, pooling.pool_size), pooling, size)


def require_touching(pooling: Pooling) -> None:
    """Raises a NotImplementedError unless each element lies in exactly one window."""
    if not pooling.touches:
        raise NotImplementedError(
            f"exported graphs pool with strides equal to pool_size; here pool_size is {pooling.pool_size}, strides "
            f"{pooling.strides}."
        )


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
    """Bounds by -1 from below. That it is at most 0 is clear; said here too, it becomes one with the subtraction."""
    return ops.maximum(ops.minimum(difference, 1.0), -1.0)
