"""Max pooling that remembers where its maxima were, and the unpooling that puts values back there.

What the index tensor holds is an `Encoding`. A pooling layer has one from its making on, so what the tensor holds does
not depend on the backend, on the compiler or on what is known of the size:

| encoding | dtype | content | for |
|---|---|---|---|
| `window_encoding` | int8 | place in the pooling window | everything, unless said otherwise |
| `flat_encoding` | int32 | position in the map, as `tf.nn.max_pool_with_argmax` gives it | masks of others |
| `arithmetic_encoding` | the map's | place in the window, by arithmetic | exported graphs, see `exporting.tracing` |
| `QuantizedEncoding` | the map's | the same, for tensors that will be int8 | exported int8 graphs |
"""

from __future__ import annotations

from typing import Any, Protocol

import keras
from keras import ops

from keras_segnet.layers import flat_encoding, positions, window_encoding
from keras_segnet.layers.geometry import Pooling
from keras_segnet.layers.tensor import Size, Tensor

MOST_PLACES = 128
"""Largest number of elements in a pooling window: an offset in it must fit into int8."""


class Encoding(Protocol):
    """How indices say where the maxima were: a module of this folder, or an object."""

    NAME: str

    def index_dtype(self, dtype: str) -> str:
        """Dtype of the indices that pooling a map of `dtype` gives."""

    def max_pool(self, x: Tensor, pooling: Pooling) -> tuple[Tensor, Tensor]:
        """`(pooled, indices)` of a map `(batch, height, width, channels)`."""

    def max_unpool(self, updates: Tensor, indices: Tensor, pooling: Pooling, size: tuple[Size, Size]) -> Tensor:
        """The updates where the indices say, in a map `(batch, *size, channels)` of zeros."""


ENCODINGS: dict[str, Encoding] = {encoding.NAME: encoding for encoding in (window_encoding, flat_encoding)}
"""Encodings that a layer can be made with, by name."""


class _Windowed(keras.layers.Layer):
    """What pooling and unpooling have in common: the windows."""

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        strides: int | tuple[int, int] | None = None,
        padding: str = "same",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = _pair("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else _pair("strides", strides)
        self.padding = str(padding).lower()
        if self.padding not in ("same", "valid"):
            raise ValueError(f"padding must be 'same' or 'valid', not {padding!r}.")
        if data_format not in (None, "channels_last"):
            raise ValueError(f"data_format must be 'channels_last' or None, not {data_format!r}.")
        if self.pool_size[0] * self.pool_size[1] > MOST_PLACES:
            raise ValueError(f"pool_size must have at most {MOST_PLACES} places, not {self.pool_size}.")
        self.encoding: Encoding = window_encoding

    @property
    def pooling(self) -> Pooling:
        """How the windows lie."""
        return Pooling(self.pool_size, self.strides, self.padding)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }


@keras.saving.register_keras_serializable("keras_segnet")
class MaxPoolingWithArgmax2D(_Windowed):
    """Max pooling that also returns where in each window the maximum was (SegNet, section 3).

    The first maximum in row-major order wins, as in Caffe-SegNet and `tf.nn.max_pool_with_argmax`. A NaN is returned
    only where it is the first member of its window; elsewhere in a window it is passed over.

    Args:
        pool_size: rows and columns of a window, an int or a pair, at most 128 places. Default 2, the paper's.
        strides: step between windows, an int or a pair: smaller ones make windows overlap, larger ones leave gaps.
            Default: `pool_size`.
        padding: `"same"` (default; the last window may hang over the end, so that 45 gives 23, as the released
            networks do) or `"valid"` (elements that fill no whole window are left out).
        data_format: `"channels_last"` or None, the same. Other layouts are refused with a `ValueError`.
        encoding: what the indices hold. `"window"` (default): the place in the window, int8, which serves at any size.
            `"flat"`: the position in the map, int32, as in the mask of `tf.nn.max_pool_with_argmax`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, any height and width from 1 up, known or not.

    Returns:
        `(pooled, indices)`, both `(batch, ceil(height / stride), ceil(width / stride), channels)` for `"same"`.
        `pooled` has the layer's compute dtype. `indices` is for `MaxUnpooling2D`.

    Raises:
        ValueError: an argument is not one of the above, or the input has not four dimensions.

    Attributes:
        encoding: an `Encoding`. Exporting gives the layers of its copy of a model another one.

    Example:

    >>> x = np.array([[1, 5], [5, 2]], "float32").reshape(1, 2, 2, 1)
    >>> pooled, indices = MaxPoolingWithArgmax2D()(x)
    >>> MaxUnpooling2D()(pooled, indices).numpy().reshape(2, 2)
    array([[0., 5.],
           [0., 0.]], dtype=float32)
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        strides: int | tuple[int, int] | None = None,
        padding: str = "same",
        data_format: str | None = None,
        encoding: str = "window",
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        if encoding not in ENCODINGS:
            raise ValueError(f"encoding must be one of {', '.join(map(repr, ENCODINGS))}; not {encoding!r}.")
        self.encoding = ENCODINGS[encoding]

    def call(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        self._check(inputs.shape)
        return self.encoding.max_pool(inputs, self.pooling)

    def compute_output_spec(self, inputs: Tensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        shape = self.compute_output_shape(inputs.shape)[0]
        dtype = self.encoding.index_dtype(self.compute_dtype)
        return keras.KerasTensor(shape, self.compute_dtype), keras.KerasTensor(shape, dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], ...]:
        self._check(input_shape)
        batch, height, width, channels = input_shape
        shape = (batch, *self.pooling.pooled_size((height, width)), channels)
        return shape, shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "encoding": self.encoding.NAME}

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if len(shape) != 4:
            raise ValueError(
                f"{self.name} takes a tensor (batch, height, width, channels); its input has shape {tuple(shape)}."
            )


@keras.saving.register_keras_serializable("keras_segnet")
class MaxUnpooling2D(_Windowed):
    """Puts values back where the maxima of a pooling were, and zeros elsewhere (SegNet, figure 3).

    The counterpart of `MaxPoolingWithArgmax2D`, and of `tf.nn.max_pool_with_argmax` and the `MaxUnpooling2D` of
    tensorflow-addons: a mask of positions as those use it is understood too.

    Args:
        pool_size, strides, padding, data_format: as in the pooling layer that made the indices.

    Call arguments:
        updates: tensor `(batch, height, width, channels)`; the decoder's values, not only the pooled ones.
        indices: tensor of the same shape: `MaxPoolingWithArgmax2D`'s, or positions as `tf.nn.max_pool_with_argmax`
            gives them with `include_batch_in_index=False`, of any integer dtype but int8, or whole numbers in float32
            or float64. int8 means places in the window, so cast neither to the other.
        like: optional tensor `(batch, H, W, any)`: the result takes its height and width, as a decoder needs that
            returns to an odd size. Only its shape is used.

    Returns:
        Tensor `(batch, H, W, channels)` of the layer's compute dtype; without `like`, H and W are the size times the
        stride (with padding `"valid"`: `(size - 1) * stride + pool_size`). Updates that meet are added.

    Raises:
        ValueError: shapes of `updates` and `indices` differ, the indices have another dtype, or `like` has not four
            dimensions or cannot be the map that was pooled. On JAX and PyTorch also: a position lies outside the map.
        tf.errors.InvalidArgumentError: on TensorFlow, eagerly and in graphs: a position lies outside the map. Inside of
            what XLA or JAX compile nothing can be raised; there such updates are left out.
    """

    def call(self, updates: Tensor, indices: Tensor, like: Tensor | None = None) -> Tensor:
        self._check(updates, indices, like)
        size = self.pooling.unpooled_size(ops.shape(updates)[1:3]) if like is None else tuple(ops.shape(like)[1:3])
        if self._holds_positions(indices):
            # Only these are checked: a place in a window always lies in the map.
            return positions.max_unpool(updates, indices, size, self.name)
        return self.encoding.max_unpool(updates, indices, self.pooling, size)

    def compute_output_spec(self, updates: Tensor, indices: Tensor, like: Tensor | None = None) -> keras.KerasTensor:
        self._check(updates, indices, like)
        batch, height, width, channels = updates.shape
        size = self.pooling.unpooled_size((height, width)) if like is None else like.shape[1:3]
        return keras.KerasTensor((batch, *size, channels), self.compute_dtype)

    def _holds_positions(self, indices: Tensor) -> bool:
        return keras.backend.standardize_dtype(indices.dtype) not in (
            window_encoding.index_dtype(self.compute_dtype),
            self.encoding.index_dtype(self.compute_dtype),
        )

    def _check(self, updates: Tensor, indices: Tensor, like: Tensor | None) -> None:
        shape, indices_shape = tuple(updates.shape), tuple(indices.shape)
        same = len(shape) == len(indices_shape) and all(
            a == b or None in (a, b) for a, b in zip(shape, indices_shape, strict=True)
        )
        if len(shape) != 4 or not same:
            raise ValueError(
                f"{self.name} takes updates and indices of one shape (batch, height, width, channels); they are "
                f"{shape} and {indices_shape}."
            )
        dtype = keras.backend.standardize_dtype(indices.dtype)
        # Half precision counts no further than 2048: Keras casts a float mask to it in a layer that computes so.
        if self._holds_positions(indices) and "int" not in dtype and dtype not in ("float32", "float64"):
            raise ValueError(f"{self.name} takes indices of integers, or of float32; their dtype is {dtype}.")
        if like is None:
            return
        if len(like.shape) != 4:
            raise ValueError(
                f"{self.name}: like must be a tensor (batch, height, width, channels); its shape is "
                f"{tuple(like.shape)}."
            )
        pooled = self.pooling.pooled_size(like.shape[1:3])
        if any(None not in (n, count) and n != count for n, count in zip(shape[1:3], pooled, strict=True)):
            raise ValueError(
                f"{self.name}: like has height and width {tuple(like.shape[1:3])}, which pooling takes to another "
                f"size than that of the indices, {shape[1:3]}."
            )


def _pair(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise ValueError(f"{name} must be a positive int or a pair of them, not {value!r}.")
    return pair


__all__ = ["Encoding", "MaxPoolingWithArgmax2D", "MaxUnpooling2D"]
