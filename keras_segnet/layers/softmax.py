"""Softmax through which cross-entropy has its gradient however small a probability is."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_segnet.layers.tensor import Tensor

SMALLEST_LOG = -69.0
"""Logarithm of the smallest probability in training, 1e-30, whose inverse float32 and bfloat16 hold."""


@keras.saving.register_keras_serializable("keras_segnet")
class Softmax(keras.layers.Softmax):
    """`keras.layers.Softmax` over the last axis, with a gradient where probabilities underflow.

    Softmax's gradient is a product with the probability, and cross-entropy's a quotient by it. Where logits lie 87
    apart the probability is 0 in float32, the pixel has no gradient, and the network does not learn from the pixels
    that it is most wrong about. In training, no probability here is below 1e-30, and the gradient passes through that
    bound as if it were none. So the gradient of `WeightedCrossentropy` with respect to the logits is
    `weight * (softmax(logits) - one_hot)` everywhere, under any backend and compiler.

    Outside training it is Keras's layer.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "axis": -1})

    def call(self, inputs: Tensor, mask: Tensor | None = None, training: bool | None = None) -> Tensor:
        if not training or mask is not None:
            return super().call(inputs, mask=mask)
        logs = ops.log_softmax(inputs, axis=-1)
        return ops.exp(logs + ops.stop_gradient(ops.maximum(logs, SMALLEST_LOG) - logs))


__all__ = ["Softmax"]
