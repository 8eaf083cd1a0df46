"""The cross-entropy of SegNet: weighted by class, blind to ignored pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segnet.training.configuration import NORMALIZATIONS
from keras_segnet.training.devices import sum_over_devices


@keras.saving.register_keras_serializable("keras_segnet")
class WeightedCrossentropy(keras.losses.Loss):
    """Cross-entropy of dense integer labels, each pixel weighted by its class, ignored pixels left out.

    With `p` the predicted probability of a pixel's class `y` and `w` the class weights, a batch has the loss
    `sum(w[y] * -log p[y]) / number of valid pixels`, the rule of the released code; the paper (section 4) sums.

    Args:
        num_classes: number of classes, without the ignored one.
        class_weights: a weight for each class. Default None: all 1. They are a variable, `class_weights`, which
            `MedianFrequencyBalancing` sets.
        ignore_class: label value that takes no part, or None. Default None.
        from_logits: whether predictions are logits. Default False: probabilities, as the networks here give.
        normalization: what the weighted sum over a batch is divided by: `"valid_pixels"` (default, the released code),
            `"weights"` (the sum of the valid pixels' weights) or `"sum"` (nothing, the paper).
        name: of the loss.

    Call arguments:
        y_true: integer labels `(batch, height, width)` or `(batch, height, width, 1)`. A value that is neither a class
            nor ignored is an error that `keras_segnet.data` finds before training; the loss itself does not look.
        y_pred: float `(batch, height, width, num_classes)`.
        sample_weight: optional, multiplies the loss of each pixel; any shape that broadcasts to that of the labels.

    Returns:
        Scalar float32. A batch without a valid pixel has loss 0.

    Raises:
        ValueError: an argument is not one of the above.
    """

    def __init__(
        self,
        num_classes: int,
        class_weights: Sequence[float] | np.ndarray | None = None,
        ignore_class: int | None = None,
        from_logits: bool = False,
        normalization: str = "valid_pixels",
        name: str = "weighted_crossentropy",
        **kwargs: Any,
    ) -> None:
        # The sum over pixels and what it is divided by are this class's own, so Keras has nothing left to reduce.
        super().__init__(name=name, **{**kwargs, "reduction": "sum"})
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization must be one of {', '.join(NORMALIZATIONS)}; not {normalization!r}.")
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(f"num_classes must be a positive int, not {num_classes!r}.")
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.from_logits = from_logits
        self.normalization = normalization
        self.class_weights = keras.Variable(
            np.ones(num_classes), dtype="float32", trainable=False, name="class_weights"
        )
        if class_weights is not None:
            self.set_class_weights(class_weights)

    def set_class_weights(self, class_weights: Sequence[float] | np.ndarray) -> None:
        """Replaces the class weights: `(num_classes,)`, finite and not negative, else a ValueError."""
        weights = np.asarray(class_weights, np.float32)
        if weights.shape != (self.num_classes,):
            raise ValueError(f"class_weights must be {self.num_classes} numbers; its shape is {weights.shape}.")
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError(f"class_weights must be finite and not negative; they are {weights.tolist()}.")
        self.class_weights.assign(weights)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each pixel, already divided, so that the sum is the loss of the batch: float32 like the labels."""
        labels = ops.cast(y_true, "int32")
        if len(labels.shape) == len(y_pred.shape):
            labels = ops.squeeze(labels, axis=-1)
        valid = ops.ones_like(labels, dtype="bool") if self.ignore_class is None else labels != self.ignore_class
        # No class: a row of zeros. A product with it is deterministic on every backend, which the gradient of looking
        # a probability up is not.
        classes = ops.one_hot(ops.where(valid, labels, -1), self.num_classes, dtype="float32")
        weights = ops.sum(classes * self.class_weights, axis=-1)
        losses = -weights * ops.sum(classes * self._log_probabilities(y_pred), axis=-1)
        if self.normalization == "sum":
            return losses
        divisor = ops.sum(weights if self.normalization == "weights" else ops.cast(valid, "float32"))
        # Keras adds up the losses of several devices, which each see a part of the batch.
        divisor = sum_over_devices(divisor)
        return losses / ops.where(divisor > 0, divisor, 1.0)

    def _log_probabilities(self, y_pred: Any) -> Any:
        y_pred = ops.cast(y_pred, "float32")
        if self.from_logits:
            return ops.log_softmax(y_pred, axis=-1)
        # Normalised and kept away from 0, as Keras does.
        y_pred = y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
        return ops.log(ops.clip(y_pred, keras.config.epsilon(), 1.0 - keras.config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "class_weights": ops.convert_to_numpy(self.class_weights).tolist(),
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "normalization": self.normalization,
        }


__all__ = ["WeightedCrossentropy"]
