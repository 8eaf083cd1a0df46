"""Layers that bring a map to the size that the next layer needs: interpolated, repeated, or lengthened with zeros."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segnet.layers.tensor import Tensor
from keras_segnet.layers.windows import fit


@keras.saving.register_keras_serializable("keras_segnet")
class InterpolateLike(keras.layers.Layer):
    """Enlarges a map by a whole factor to the height and width of another, linearly, as DeepLab's `Interp` layers do.

    Element `i` comes to lie at `factor * i`. That is where a network saw it whose strided windows are centred on every
    `factor`-th pixel; `keras.ops.image.resize` would lay it almost half a factor further. Behind the last element its
    value stays.

    It is made of a transposed convolution with a fixed kernel, which every backend and every runtime on the edge has.

    Args:
        factor: by how much, a positive int.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.
        like: tensor `(batch, H, W, any)` with `height = ceil(H / factor)`, and so for the width. Only its shape is
            used.

    Returns:
        Tensor `(batch, H, W, channels)` of the layer's compute dtype.

    Raises:
        ValueError: `factor` is no positive int, or the sizes are known not to go together.

    Example:

    >>> x = np.array([0, 4], "float32").reshape(1, 1, 2, 1)
    >>> InterpolateLike(4)(x, like=np.zeros((1, 1, 7, 1))).numpy().ravel()
    array([0., 1., 2., 3., 4., 4., 4.], dtype=float32)
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_positive_int("factor", factor)
        self.factor = factor

    def call(self, inputs: Tensor, like: Tensor) -> Tensor:
        self._check(inputs, like)
        height, width = ops.shape(like)[1:3]
        # One more row and column, equal to the last, for what lies behind them.
        x = ops.concatenate([inputs, inputs[:, -1:]], axis=1)
        x = ops.concatenate([x, x[:, :, -1:]], axis=2)
        ramp = 1 - np.abs(np.arange(1 - self.factor, self.factor)) / self.factor
        kernel = np.outer(ramp, ramp)[:, :, None, None] * np.eye(x.shape[-1])
        x = ops.conv_transpose(
            x, ops.convert_to_tensor(kernel, x.dtype), strides=self.factor, padding="valid", data_format="channels_last"
        )
        start = self.factor - 1
        return x[:, start : start + height, start : start + width]

    def compute_output_spec(self, inputs: Tensor, like: Tensor) -> keras.KerasTensor:
        self._check(inputs, like)
        return keras.KerasTensor((inputs.shape[0], *like.shape[1:3], inputs.shape[3]), self.compute_dtype)

    def _check(self, inputs: Tensor, like: Tensor) -> None:
        sizes = zip(inputs.shape[1:3], like.shape[1:3], strict=True)
        if any(n is not None and wanted is not None and n != -(-wanted // self.factor) for n, wanted in sizes):
            raise ValueError(
                f"{self.name} enlarges {self.factor} times to the size of like, {tuple(like.shape[1:3])}; its input "
                f"has another size than that takes: {tuple(inputs.shape[1:3])}."
            )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("keras_segnet")
class BroadcastLike(keras.layers.Layer):
    """Repeats the only element of a map to the height and width of another, as DeepLab v3's image-level feature is.

    Call arguments:
        inputs: tensor `(batch, 1, 1, channels)`.
        like: tensor `(batch, H, W, any)`. Only its shape is used.

    Returns:
        Tensor `(batch, H, W, channels)`.

    Raises:
        ValueError: `inputs` has more than one element.
    """

    def call(self, inputs: Tensor, like: Tensor) -> Tensor:
        self._check(inputs)
        # By enlarging it, because LiteRT's GPU backend has no op that broadcasts.
        return ops.image.resize(inputs, ops.shape(like)[1:3], interpolation="nearest", data_format="channels_last")

    def compute_output_spec(self, inputs: Tensor, like: Tensor) -> keras.KerasTensor:
        self._check(inputs)
        return keras.KerasTensor((inputs.shape[0], *like.shape[1:3], inputs.shape[3]), self.compute_dtype)

    def _check(self, inputs: Tensor) -> None:
        if tuple(inputs.shape[1:3]) != (1, 1):
            raise ValueError(f"{self.name} repeats a map of one element, not of {tuple(inputs.shape[1:3])}.")


@keras.saving.register_keras_serializable("keras_segnet")
class ZeroPaddingTo(keras.layers.Layer):
    """Lengthens a map at its end with zeros where it is smaller than the next layer takes.

    Args:
        size: height and width that the result has at least, a positive int.

    Call arguments:
        inputs: tensor `(batch, height, width, channels)`.

    Returns:
        Tensor `(batch, max(height, size), max(width, size), channels)`.

    Raises:
        ValueError: `size` is no positive int.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_positive_int("size", size)
        self.size = size

    def call(self, inputs: Tensor) -> Tensor:
        height, width = (
            max(n, self.size) if isinstance(n, int) else ops.maximum(n, self.size) for n in ops.shape(inputs)[1:3]
        )
        return fit(inputs, height, width, 0, 0, 0.0)

    def compute_output_spec(self, inputs: Tensor) -> keras.KerasTensor:
        size = [None if n is None else max(n, self.size) for n in inputs.shape[1:3]]
        return keras.KerasTensor((inputs.shape[0], *size, inputs.shape[3]), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


def _check_positive_int(name: str, value: int) -> None:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive int, not {value!r}.")


__all__ = ["BroadcastLike", "InterpolateLike", "ZeroPaddingTo"]
