"""What upsampling needs besides unpooling: a bilinear start for deconvolutions, and the crop to an odd size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segnet.layers.tensor import Tensor


@keras.saving.register_keras_serializable("keras_segnet")
class BilinearUpsampling(keras.initializers.Initializer):
    """Starts a `Conv2DTranspose` as bilinear interpolation, each channel by itself (Long et al., section 3.3).

    With padding "same" and kernel size minus stride even, the layer then interpolates between pixel centres, as
    `keras.layers.UpSampling2D(strides, interpolation="bilinear")` does, but for a border of half a stride, where zeros
    take part. Kernels larger than twice the stride have zeros around the interpolation.

    Args:
        strides: the layer's, an int or `(rows, columns)`: by how much it enlarges.

    Example:

    >>> BilinearUpsampling(2)((4, 4, 1, 1)).numpy()[0, :, 0, 0]
    array([0.0625, 0.1875, 0.1875, 0.0625], dtype=float32)
    """

    def __init__(self, strides: int | Sequence[int]) -> None:
        self.strides = (strides, strides) if isinstance(strides, int) else tuple(strides)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A kernel `(rows, columns, filters, channels)`, as `Conv2DTranspose` has it."""
        rows, columns, filters, channels = shape
        kernel = np.outer(_triangle(rows, self.strides[0]), _triangle(columns, self.strides[1]))
        return ops.convert_to_tensor(kernel[:, :, None, None] * np.eye(filters, channels), dtype or "float32")

    def get_config(self) -> dict[str, Any]:
        return {"strides": self.strides}


def _triangle(size: int, stride: int) -> np.ndarray:
    """Weights of linear interpolation by their distance from the centre of a kernel: float64 `(size,)`."""
    distance = np.abs(np.arange(size) - (size - 1) / 2)
    return np.maximum(0, 1 - distance / stride)


@keras.saving.register_keras_serializable("keras_segnet")
class CropLike(keras.layers.Layer):
    """Cuts a map at its end to the height and width of another, as a decoder needs that returns to an odd size.

    45 rows become 23 by pooling and 46 by upsampling; the last one lies beyond the map, as half of the last pooling
    window does.

    Call arguments:
        inputs: tensor `(batch, height, width, channels)`.
        like: tensor `(batch, H, W, any)` with H and W at most height and width. Only its shape is used.

    Returns:
        Tensor `(batch, H, W, channels)`.

    Raises:
        ValueError: `inputs` is known to be smaller than `like`.
    """

    def call(self, inputs: Tensor, like: Tensor) -> Tensor:
        self._check(inputs, like)
        height, width = ops.shape(like)[1:3]
        return inputs if tuple(inputs.shape[1:3]) == (height, width) else inputs[:, :height, :width]

    def compute_output_spec(self, inputs: Tensor, like: Tensor) -> keras.KerasTensor:
        self._check(inputs, like)
        return keras.KerasTensor((inputs.shape[0], *like.shape[1:3], inputs.shape[3]), self.compute_dtype)

    def _check(self, inputs: Tensor, like: Tensor) -> None:
        sizes = zip(inputs.shape[1:3], like.shape[1:3], strict=True)
        if any(n is not None and wanted is not None and n < wanted for n, wanted in sizes):
            raise ValueError(
                f"{self.name} cuts to the size of like, {tuple(like.shape[1:3])}, and its input is smaller: "
                f"{tuple(inputs.shape[1:3])}."
            )


__all__ = ["BilinearUpsampling", "CropLike"]
