"""Positions in the map, as `tf.nn.max_pool_with_argmax` gives them: made of codes, checked, and scattered to.

The position of an element is `(row * width + column) * channels + channel`, counted within its own image.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_segnet.layers.fusion import fused, with_gradient
from keras_segnet.layers.geometry import Pooling
from keras_segnet.layers.tensor import Size, Tensor


def positions_of(codes: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
    """The positions in a map of `size` that codes of `window_encoding` name: int32, of the shape of the codes.

    Raises:
        ValueError: the map is known to have more elements than int32 counts.
    """
    channels = codes.shape[-1]
    if all(isinstance(n, int) for n in (*size, channels)) and math.prod((*size, channels)) > 2**31:
        raise ValueError(f"a map of {size[0]}x{size[1]}x{channels} elements is too large for positions in int32.")
    rows, columns = pooling.windows(size)
    codes = ops.cast(codes, "int32")
    row = ops.arange(rows.count, dtype="int32")[:, None, None] * pooling.strides[0] - rows.before
    column = ops.arange(columns.count, dtype="int32")[:, None] * pooling.strides[1] - columns.before
    row, column = row + codes // pooling.pool_size[1], column + codes % pooling.pool_size[1]
    return (row * size[1] + column) * channels + ops.arange(channels, dtype="int32")


def max_unpool(updates: Tensor, indices: Tensor, size: tuple[Size, Size], layer: str) -> Tensor:
    """Unpools a mask that may hold anything: `(batch, *size, channels)`.

    Args:
        updates: tensor `(batch, rows, columns, channels)`.
        indices: tensor of the same shape, positions of any integer dtype, or whole numbers in float32 or float64.
        size: height and width of the map.
        layer: its name, for errors; see `check`.
    """
    whole = ops.cast(indices, "int64" if "64" in keras.backend.standardize_dtype(indices.dtype) else "int32")
    return scatter(updates, check(whole, size, layer), size)


def check(positions: Tensor, size: tuple[Size, Size], layer: str) -> Tensor:
    """The positions, once it is known that they lie in a map of `size`.

    Inside of what XLA or JAX compile nothing can be raised, and this checks nothing.

    Raises:
        tf.errors.InvalidArgumentError: on TensorFlow, one does not.
        ValueError: on another backend, one does not.
    """
    elements = size[0] * size[1] * positions.shape[-1]
    meant = f"{layer} unpools to {size[0]}x{size[1]}x{positions.shape[-1]}" if isinstance(elements, int) else layer
    message = (
        f"{meant}: positions must be counted within each image (include_batch_in_index=False) of a map of that size, "
        "from 0 to below"
    )
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        lowest, highest = tf.reduce_min(positions), tf.reduce_max(positions)
        inside = (lowest >= 0) & (highest < tf.cast(elements, highest.dtype))
        with tf.control_dependencies([tf.debugging.Assert(inside, [message, elements, "; found", lowest, highest])]):
            return tf.identity(positions)
    if not _is_traced(positions, backend) and not ops.all(_inside(positions, elements)):
        raise ValueError(f"{message} {elements}; found {int(ops.min(positions))} to {int(ops.max(positions))}.")
    return positions


def scatter(updates: Tensor, positions: Tensor, size: tuple[Size, Size]) -> Tensor:
    """Adds each update to a map of zeros at its position: `(batch, *size, channels)`.

    Updates whose positions lie outside the map are left out.

    Args:
        updates: tensor `(batch, rows, columns, channels)`.
        positions: int32 or int64 tensor of the same shape.
        size: height and width of the map.
    """
    return with_gradient(
        lambda updates: _scatter(updates, positions, size), lambda _, upstream: _gather(upstream, positions), updates
    )


@fused
def _scatter(updates: Tensor, positions: Tensor, size: tuple[Size, Size]) -> Tensor:
    batch, *_, channels = ops.shape(updates)
    elements = size[0] * size[1] * channels
    inside = _inside(positions, elements)
    # In two columns, because a position within the whole batch would not always fit into int32.
    places = _where_inside(inside, positions, elements)
    image = ops.zeros_like(places) + ops.reshape(ops.arange(batch, dtype=places.dtype), (-1, 1, 1, 1))
    indices = ops.stack([ops.reshape(image, (-1,)), ops.reshape(places, (-1,))], axis=-1)
    values = ops.reshape(ops.where(inside, updates, ops.cast(0, updates.dtype)), (-1,))
    return ops.reshape(ops.scatter(indices, values, (batch, elements)), (batch, *size, channels))


@fused
def _gather(x: Tensor, positions: Tensor) -> Tensor:
    batch, height, width, channels = ops.shape(x)
    elements = height * width * channels
    inside = _inside(positions, elements)
    places = ops.reshape(_where_inside(inside, positions, elements), (batch, -1))
    found = ops.take_along_axis(ops.reshape(x, (batch, -1)), places, axis=1)
    return ops.where(inside, ops.reshape(found, ops.shape(positions)), ops.cast(0, x.dtype))


def _inside(positions: Tensor, elements: Size) -> Tensor:
    return (positions >= 0) & (positions < ops.cast(elements, positions.dtype))


def _where_inside(inside: Tensor, positions: Tensor, elements: Size) -> Tensor:
    """The positions with 0 for those outside, as narrow as the map allows."""
    positions = ops.where(inside, positions, ops.cast(0, positions.dtype))
    return ops.cast(positions, "int64" if isinstance(elements, int) and elements > 2**31 else "int32")


def _is_traced(tensor: Any, backend: str) -> bool:
    """Whether a tensor of JAX or PyTorch stands for values that are not there yet."""
    if backend == "jax":
        import jax

        return isinstance(tensor, jax.core.Tracer)
    import torch

    return torch.compiler.is_compiling()
