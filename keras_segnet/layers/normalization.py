"""Normalisation of the input: local response as in the released SegNet-Basic, local contrast as in the paper."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segnet.layers.tensor import Tensor


@keras.saving.register_keras_serializable("keras_segnet")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each pixel by a power of the energy of its channels, by Caffe's formula (segnet_basic_train.prototxt).

    `y_c = x_c / (k + alpha / window * sum of x_j^2 over a window of channels around c) ^ beta`. Caffe divides alpha by
    the window; `tf.nn.local_response_normalization` does not, so its alpha is ours over `window`.

    Args:
        window: channels in the sum, odd. Default 5, the prototxt's local_size; it covers all of RGB.
        alpha: default 1e-4, as released.
        beta: default 0.75, as released.
        k: default 1.0, Caffe's.

    Call arguments:
        inputs: float tensor `(..., channels)`; the released net feeds colours 0..255.

    Returns:
        Tensor of the shape and dtype of `inputs`. Squares are summed in float32, because those of colours overflow
        float16.

    Raises:
        ValueError: `window` is not a positive odd int.
    """

    def __init__(self, window: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_window(window)
        self.window, self.alpha, self.beta, self.k = window, alpha, beta, k

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, "float32")
        channels = x.shape[-1]
        reach = self.window // 2
        if channels <= reach + 1:
            # Every window holds every channel: one sum serves all, and exports as a plain reduction.
            energy = ops.sum(ops.square(x), axis=-1, keepdims=True)
        else:
            padded = ops.pad(ops.square(x), [[0, 0]] * (len(x.shape) - 1) + [[reach, reach]])
            energy = sum(padded[..., i : i + channels] for i in range(self.window))
        normalized = x / ops.power(self.k + self.alpha / self.window * energy, self.beta)
        return ops.cast(normalized, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "window": self.window, "alpha": self.alpha, "beta": self.beta, "k": self.k}


@keras.saving.register_keras_serializable("keras_segnet")
class LocalContrastNormalization(keras.layers.Layer):
    """Takes the local mean away and divides by the local deviation (Jarrett et al., ICCV 2009, section 2).

    The paper normalises its RGB input so (section 4.1), without a word on the parameters. With `w` a Gaussian window
    that sums to one over places and channels,

        v_c = x_c - sum over the window and all channels of w * x
        s   = square root of the sum over the window and all channels of w * v^2
        y_c = v_c / max(s, mean of s over the image)

    Mean and deviation are those of all channels together, so what colour a pixel has stays, and how bright and how
    contrasty its surroundings are goes. Where the window reaches beyond the image, its weights inside are scaled to sum
    to one; nothing is made up outside.

    Args:
        window: height and width of the window, odd. Default 9, Jarrett et al.'s.
        sigma: standard deviation of the Gaussian in pixels. Default None: a quarter of the window, 2.25 for 9, as in
            Torch's implementation; Jarrett et al. give none.
        epsilon: least that is divided by, so that an image of one colour gives zeros and not rounding errors. Default
            1e-2, next to nothing for colours in 0..255.

    Call arguments:
        inputs: float tensor `(batch, height, width, channels)`.

    Returns:
        Tensor of the shape and dtype of `inputs`, of mean about 0 and deviation about 1. All is computed in float32,
        because the squares of colours overflow float16.

    Raises:
        ValueError: `window` is not a positive odd int, or `sigma` or `epsilon` is not positive.
    """

    def __init__(self, window: int = 9, sigma: float | None = None, epsilon: float = 1e-2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        _check_window(window)
        if sigma is not None and not sigma > 0:
            raise ValueError(f"sigma must be a positive number or None, not {sigma!r}.")
        if not epsilon > 0:
            raise ValueError(f"epsilon must be a positive number, not {epsilon!r}.")
        self.window, self.sigma, self.epsilon = window, sigma, epsilon

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.cast(inputs, "float32")
        inside = self._blur(ops.ones_like(x[:1, ..., :1]))
        centred = x - self._local_mean(x) / inside
        variance = self._local_mean(ops.square(centred)) / inside
        # The least is taken before the root, whose slope at 0 has no end.
        deviation = ops.sqrt(ops.maximum(variance, self.epsilon**2))
        normalized = centred / ops.maximum(deviation, ops.mean(deviation, axis=(1, 2), keepdims=True))
        return ops.cast(normalized, self.compute_dtype)

    def _local_mean(self, x: Tensor) -> Tensor:
        return self._blur(ops.mean(x, axis=-1, keepdims=True))

    def _blur(self, x: Tensor) -> Tensor:
        """Convolves one channel with the window, with zeros outside; along columns, then along rows."""
        weights = self._weights()
        x = ops.conv(x, weights.reshape(-1, 1, 1, 1), padding="same", data_format="channels_last")
        return ops.conv(x, weights.reshape(1, -1, 1, 1), padding="same", data_format="channels_last")

    def _weights(self) -> np.ndarray:
        """The window along one axis, float32 `(window,)`; its sum is one."""
        distance = np.arange(self.window) - self.window // 2
        weights = np.exp(-0.5 * (distance / (self.sigma or self.window / 4)) ** 2)
        return (weights / weights.sum()).astype(np.float32)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "window": self.window, "sigma": self.sigma, "epsilon": self.epsilon}


def _check_window(window: int) -> None:
    if not isinstance(window, int) or window < 1 or window % 2 == 0:
        raise ValueError(f"window must be a positive odd int, not {window!r}.")


__all__ = ["LocalContrastNormalization", "LocalResponseNormalization"]
