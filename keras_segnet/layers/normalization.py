"""Input normalisation of the released SegNet-Basic."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


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
        if not isinstance(window, int) or window < 1 or window % 2 == 0:
            raise ValueError(f"window must be a positive odd int, not {window!r}.")
        self.window, self.alpha, self.beta, self.k = window, alpha, beta, k

    def call(self, inputs: Any) -> Any:
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
