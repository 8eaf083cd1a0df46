"""Max pooling that remembers where its maxima were, and the unpooling that puts values back there.

One pair of layers, two encodings of the index tensor. The tensor says by its dtype which one it holds:

| encoding | dtype | content | made where |
|---|---|---|---|
| flat | int32 | position in the map, as `tf.nn.max_pool_with_argmax` gives it | TensorFlow kernels, whole windows |
| window | int8 | place in the pooling window | everywhere else: XLA, JAX, PyTorch, odd or unknown sizes |
| window | the map's | the same, by arithmetic | export; see `arithmetic_encoding` and `quantized_encoding` |

A position in the map means something only together with the map's width, so the flat encoding is made only where the
windows fill the map exactly; then size = windows x stride holds and unpooling needs nothing else. The choice falls anew
whenever the layer is traced, so one saved model serves all of these places, and both encodings give equal results.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_segnet.layers import arithmetic_encoding, flat_encoding, quantized_encoding, window_encoding
from keras_segnet.layers.geometry import lay_windows, unpooled_size

Tensor = Any

MOST_PLACES = 128
"""That a window can have, so that its places fit into int8."""


@dataclass(frozen=True)
class _Portable:
    """What `portable_indices` was told."""

    int8_steps: Mapping[str, float] | None


_portable: contextvars.ContextVar[_Portable | None] = contextvars.ContextVar("keras_segnet_portable", default=None)


@contextlib.contextmanager
def portable_indices(int8_steps: Mapping[str, float] | None = None) -> Iterator[None]:
    """While active, layers that are called or traced use the window encoding by arithmetic, whatever the backend.

    Exporters trace under it, because runtimes on the edge have no op for the flat one.

    Args:
        int8_steps: for graphs that will be quantised to int8 after tracing: by name of a pooling layer, the difference
            of neighbouring int8 values of its input. Layers then use `keras_segnet.layers.quantized_encoding`, pooling
            layers those that are named here. Default None: no graph of this kind.
    """
    token = _portable.set(_Portable(int8_steps))
    try:
        yield
    finally:
        _portable.reset(token)


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
        if any(s > p for s, p in zip(self.strides, self.pool_size, strict=True)):
            raise ValueError(
                f"strides must not exceed pool_size, or the windows leave gaps; strides is {self.strides}, "
                f"pool_size {self.pool_size}."
            )

    @property
    def supports_jit(self) -> bool:
        """Yes, but not for Keras to choose it: with TensorFlow's kernels a training step is faster than with XLA.

        Keras asks this both when `model.compile(jit_compile=True)` is said and when it decides what "auto" means.
        """
        return self._supports_jit and not (keras.backend.backend() == "tensorflow" and _keras_decides_about_xla())

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:
        self._supports_jit = value

    @property
    def windows_overlap(self) -> bool:
        return self.strides != self.pool_size

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
        strides: step between windows. Default: `pool_size`. Smaller strides (overlapping windows) work where
            TensorFlow's kernels do; elsewhere a `NotImplementedError` says so.
        padding: `"same"` (default; the last window may hang over the end, so that 45 gives 23, as the released
            networks do) or `"valid"` (elements that fill no whole window are left out).
        data_format: `"channels_last"` or None, the same. Other layouts are refused with a `ValueError`.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`, any height and width from 1 up, known or not.

    Returns:
        `(pooled, indices)`, both `(batch, ceil(height / stride), ceil(width / stride), channels)` for `"same"`.
        `pooled` has the layer's compute dtype. `indices` is for `MaxUnpooling2D`; its encodings: see this module.

    Raises:
        ValueError: an argument is not one of the above, or the input has not four dimensions.

    Example:

    >>> x = np.array([[1, 5], [5, 2]], "float32").reshape(1, 2, 2, 1)
    >>> pooled, indices = MaxPoolingWithArgmax2D()(x)
    >>> MaxUnpooling2D()(pooled, indices).numpy().reshape(2, 2)
    array([[0., 5.],
           [0., 0.]], dtype=float32)
    """

    def call(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        self._check(inputs.shape)
        if self._takes_flat_encoding(inputs.shape):
            return flat_encoding.max_pool(inputs, self.pool_size, self.strides, self.padding)
        if self.windows_overlap:
            raise NotImplementedError(
                f"{self.name}: overlapping windows (pool_size {self.pool_size}, strides {self.strides}) need "
                "TensorFlow's own kernels and a known size that the windows fill; use strides equal to pool_size here."
            )
        portable = _portable.get()
        if portable is None:
            return window_encoding.max_pool(inputs, self.pool_size, self.padding)
        if portable.int8_steps is None:
            return arithmetic_encoding.max_pool(inputs, self.pool_size, self.padding)
        if self.name in portable.int8_steps:
            step = portable.int8_steps[self.name]
            return quantized_encoding.max_pool(inputs, self.pool_size, self.padding, step)
        pooled, codes = arithmetic_encoding.max_pool(inputs, self.pool_size, self.padding)
        return pooled, codes * quantized_encoding.UNIT

    def compute_output_spec(self, inputs: Tensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        shape = self.compute_output_shape(inputs.shape)[0]
        flat = self._takes_flat_encoding(inputs.shape)
        dtype = flat_encoding.index_dtype(inputs.shape) if flat else self._window_dtype()
        return keras.KerasTensor(shape, self.compute_dtype), keras.KerasTensor(shape, dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[tuple[int | None, ...], ...]:
        self._check(input_shape)
        batch, height, width, channels = input_shape
        size = [
            None if n is None else lay_windows(n, p, s, self.padding).count
            for n, p, s in zip((height, width), self.pool_size, self.strides, strict=True)
        ]
        shape = (batch, *size, channels)
        return shape, shape

    def _window_dtype(self) -> str:
        return "int8" if _portable.get() is None else self.compute_dtype

    def _check(self, shape: tuple[int | None, ...]) -> None:
        if len(shape) != 4:
            raise ValueError(
                f"{self.name} takes a tensor (batch, height, width, channels); its input has shape {tuple(shape)}."
            )

    def _takes_flat_encoding(self, shape: tuple[int | None, ...]) -> bool:
        filled = all(
            n is not None
            and (count := lay_windows(n, p, s, self.padding).count) > 0
            and unpooled_size(count, p, s, self.padding) == n
            for n, p, s in zip(shape[1:3], self.pool_size, self.strides, strict=True)
        )
        return filled and shape[3] is not None and _portable.get() is None and flat_encoding.runs_tensorflow_kernels()


@keras.saving.register_keras_serializable("keras_segnet")
class MaxUnpooling2D(_Windowed):
    """Puts values back where the maxima of a pooling were, and zeros elsewhere (SegNet, figure 3).

    The counterpart of `MaxPoolingWithArgmax2D`, and of `tf.nn.max_pool_with_argmax` and the `MaxUnpooling2D` of
    tensorflow-addons: an integer mask of positions as those use it is understood too.

    Args:
        pool_size, strides, padding, data_format: as in the pooling layer that made the indices.

    Call arguments:
        updates: tensor `(batch, height, width, channels)`; the decoder's values, not only the pooled ones.
        indices: integer tensor of the same shape: `MaxPoolingWithArgmax2D`'s, or positions as
            `tf.nn.max_pool_with_argmax` gives them with `include_batch_in_index=False`.
        like: optional tensor `(batch, H, W, any)`: the result takes its height and width, as a decoder needs that
            returns to an odd size. Only its shape is used.

    Returns:
        Tensor `(batch, H, W, channels)` of the layer's compute dtype; without `like`, H and W are the size times the
        stride (with padding `"valid"`: `(size - 1) * stride + pool_size`).

    Raises:
        ValueError: shapes of `updates` and `indices` differ, the indices are no integers, or `like` has not four
            dimensions or cannot be the map that was pooled.
    """

    def call(self, updates: Tensor, indices: Tensor, like: Tensor | None = None) -> Tensor:
        self._check(updates, indices, like)
        size = None if like is None else tuple(ops.shape(like)[1:3])
        portable = _portable.get()
        if portable is not None and _is_window_encoding(indices):
            encoding = arithmetic_encoding if portable.int8_steps is None else quantized_encoding
            return encoding.max_unpool(updates, indices, self.pool_size, self.padding, size)
        if _is_window_encoding(indices):
            return window_encoding.max_unpool(updates, indices, self.pool_size, self.padding, size)
        if size is None:
            height, width = ops.shape(updates)[1:3]
            size = (
                unpooled_size(height, self.pool_size[0], self.strides[0], self.padding),
                unpooled_size(width, self.pool_size[1], self.strides[1], self.padding),
            )
        return flat_encoding.max_unpool(updates, indices, self.pool_size, self.strides, self.padding, size)

    def compute_output_spec(self, updates: Tensor, indices: Tensor, like: Tensor | None = None) -> keras.KerasTensor:
        self._check(updates, indices, like)
        batch, *size, channels = updates.shape
        if like is None:
            size = [
                unpooled_size(n, p, s, self.padding) for n, p, s in zip(size, self.pool_size, self.strides, strict=True)
            ]
        else:
            size = like.shape[1:3]
        return keras.KerasTensor((batch, *size, channels), self.compute_dtype)

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
        if "int" not in keras.backend.standardize_dtype(indices.dtype) and not _is_window_encoding(indices):
            raise ValueError(f"{self.name} takes integer indices; their dtype is {indices.dtype}.")
        if like is None:
            return
        if len(like.shape) != 4:
            raise ValueError(
                f"{self.name}: like must be a tensor (batch, height, width, channels); its shape is "
                f"{tuple(like.shape)}."
            )
        for n, whole, p, s in zip(shape[1:3], like.shape[1:3], self.pool_size, self.strides, strict=True):
            if None not in (n, whole) and lay_windows(whole, p, s, self.padding).count != n:
                raise ValueError(
                    f"{self.name}: like has height and width {tuple(like.shape[1:3])}, which pooling takes to another "
                    f"size than that of the indices, {shape[1:3]}."
                )


def _keras_decides_about_xla() -> bool:
    """Whether the question comes from where Keras resolves `jit_compile="auto"`. It gives no other sign of that."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "_resolve_auto_jit_compile":
            return True
        frame = frame.f_back
    return False


def _is_window_encoding(indices: Tensor) -> bool:
    dtype = keras.backend.standardize_dtype(indices.dtype)
    return dtype == "int8" or (_portable.get() is not None and "float" in dtype)


def _pair(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise ValueError(f"{name} must be a positive int or a pair of them, not {value!r}.")
    return pair


__all__ = ["MaxPoolingWithArgmax2D", "MaxUnpooling2D", "portable_indices"]
