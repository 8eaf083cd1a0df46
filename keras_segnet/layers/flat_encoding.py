"""Indices as positions in the map: what `tf.nn.max_pool_with_argmax` returns, on every backend.

A position means something only together with the map's size, so this serves masks that come from elsewhere or go there.
"""

from __future__ import annotations

from keras import ops

from keras_segnet.layers import window_encoding
from keras_segnet.layers.geometry import Pooling
from keras_segnet.layers.positions import positions_of, scatter
from keras_segnet.layers.tensor import Size, Tensor

NAME = "flat"


def index_dtype(dtype: str) -> str:
    """Dtype of the positions, whatever the map's."""
    return "int32"


def max_pool(x: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
    """As `window_encoding.max_pool`, but `(pooled, positions)`."""
    pooled, codes = window_encoding.max_pool(x, pooling)
    return pooled, positions_of(codes, pooling, ops.shape(x)[1:3])


def max_unpool(updates: Tensor, indices: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
    """Adds each update to zeros at its position, wherever that lies; see `keras_segnet.layers.positions`."""
    return scatter(updates, indices, size)
