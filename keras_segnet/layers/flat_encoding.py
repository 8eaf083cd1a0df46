"""Indices as positions in the map: what `tf.nn.max_pool_with_argmax` returns.

The index of an element is `(row * width + column) * channels + channel`, counted within its own image, as int32 (int64
in maps of 2**31 elements and more). Pooling in this encoding is TensorFlow's own op. Unpooling is a scatter, in
whichever form is fastest where it runs.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_segnet import _compat
from keras_segnet.layers.geometry import Size

Tensor = Any


def max_pool(x: Tensor, pool_size: tuple[int, int], strides: tuple[int, int], padding: str) -> tuple[Tensor, Tensor]:
    """Pools with `tf.nn.max_pool_with_argmax` (TensorFlow only, outside XLA, which has no kernel for it).

    Args:
        x: `(batch, height, width, channels)`, all but the batch known.
        pool_size: `(rows, columns)` of a window.
        strides: `(rows, columns)` between windows.
        padding: `"same"` or `"valid"`.

    Returns:
        `(pooled, positions)`, both `(batch, rows of windows, columns of windows, channels)`.
    """
    import tensorflow as tf

    height, width = x.shape[1:3]
    dtype = index_dtype(x.shape)

    @tf.custom_gradient
    def pool(x: Tensor) -> Any:
        # TensorFlow's graph optimiser moves a ReLU from before a pooling to behind it. It does so even for this
        # pooling, whose positions that would change where a window holds zeros only, then finds its own graph invalid
        # and gives up optimising all of it. This op copies nothing and keeps the two apart.
        kept_apart = tf.raw_ops.EnsureShape(input=x, shape=x.shape)
        pooled, positions = tf.nn.max_pool_with_argmax(
            kept_apart, pool_size, strides, padding.upper(), output_dtype=dtype
        )

        def gradient(upstream: Tensor, _: Tensor) -> Tensor:
            # TensorFlow's own gradient knows int64 only.
            return max_unpool(upstream, positions, pool_size, strides, padding, (height, width))

        return (pooled, positions), gradient

    return tuple(pool(x))


def index_dtype(shape: tuple[int | None, ...]) -> str:
    """Dtype of the positions in maps of a known shape.

    With int64, TensorFlow's default, its kernel takes five to nine times as long on a CPU (2.21, float32).
    """
    return "int32" if math.prod(shape[1:]) < 2**31 else "int64"  # type: ignore[arg-type]


def max_unpool(
    updates: Tensor,
    positions: Tensor,
    pool_size: tuple[int, int],
    strides: tuple[int, int],
    padding: str,
    size: tuple[Size, Size],
) -> Tensor:
    """Adds each update to a map of zeros at its position: `(batch, *size, channels)`.

    TensorFlow's kernel for the gradient of its pooling is the fastest scatter it has, but one that XLA lacks; elsewhere
    a general scatter does it.
    """
    if runs_tensorflow_kernels():
        return _scatter_with_pooling_kernel(updates, positions, pool_size, strides, padding, size)
    batch, _, _, channels = ops.shape(updates)
    elements = size[0] * size[1] * channels
    image = ops.reshape(ops.arange(batch, dtype=positions.dtype), (-1, 1, 1, 1)) * ops.cast(elements, positions.dtype)
    flat = ops.scatter(ops.reshape(positions + image, (-1, 1)), ops.reshape(updates, (-1,)), (batch * elements,))
    return ops.reshape(flat, (batch, *size, channels))


def _scatter_with_pooling_kernel(
    updates: Tensor,
    positions: Tensor,
    pool_size: tuple[int, int],
    strides: tuple[int, int],
    padding: str,
    size: tuple[Size, Size],
) -> Tensor:
    import tensorflow as tf

    @tf.custom_gradient
    def scatter(updates: Tensor) -> Any:
        shape = tf.shape(updates)
        # The kernel reads nothing of its first input but the shape; an empty tensor of that shape costs no fill, and
        # lets go of the encoder's map.
        shape_only = tf.raw_ops.Empty(shape=tf.stack([shape[0], *size, shape[3]]), dtype=updates.dtype, init=False)
        scattered = tf.raw_ops.MaxPoolGradWithArgmax(
            input=shape_only,
            grad=updates,
            argmax=tf.cast(positions, "int64"),  # The only dtype that the kernel takes on a CPU.
            ksize=[1, *pool_size, 1],
            strides=[1, *strides, 1],
            padding=padding.upper(),
        )

        def gather(upstream: Tensor) -> Tensor:
            per_image = tf.reshape(upstream, [shape[0], -1])
            return tf.reshape(tf.gather(per_image, tf.reshape(positions, [shape[0], -1]), batch_dims=1), shape)

        return scattered, gather

    return scatter(updates)


def runs_tensorflow_kernels() -> bool:
    """Whether TensorFlow's own kernels run what is being traced: its backend, and not inside XLA."""
    return keras.backend.backend() == "tensorflow" and not _compat.traced_by_xla()
