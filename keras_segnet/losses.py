"""The cross-entropy of SegNet: weighted by class, blind to ignored pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segnet._compat import logits_beside
from keras_segnet.training.configuration import NORMALIZATIONS

SMALLEST = 1e-35
"""Probability below which there is no gradient. Its inverse, times a class weight, is a float32."""


@keras.saving.register_keras_serializable("keras_segnet")
class WeightedCrossentropy(keras.losses.Loss):
    """Cross-entropy of dense integer labels, each pixel weighted by its class, ignored pixels left out.

    With `p` the predicted probability of a pixel's class `y` and `w` the class weights, a batch has the loss
    `sum(w[y] * -log p[y]) / number of valid pixels`, the rule of the released code; the paper (section 4) sums.

    Args:
        num_classes: number of classes, without the ignored one.
        class_weights: a weight for each class, or a dict of classes and their weights, `{0: 1.0, 3: 2.0}`, in which the
            others have 1. Default None: all 1. They are a variable, `class_weights`, which `MedianFrequencyBalancing`
            sets. (`class_weight` of `model.fit` is Keras's own and does not understand labels of pixels.)
        ignore_class: label value that takes no part, or None. Default None.
        from_logits: whether predictions are logits. Default False: probabilities, as the networks here give. Then too
            the gradient is that of cross-entropy from logits, `weight * (softmax(logits) - one_hot)`, however small a
            probability is: with a network of this library, whose last layer is `keras_segnet.layers.Softmax`, and under
            TensorFlow and PyTorch behind any softmax of Keras. Behind other probabilities it is while these are at
            least 1e-35; Keras's own losses have none below 1e-7.
        normalization: what the weighted sum over a batch is divided by: `"valid_pixels"` (default, the released code),
            `"weights"` (the sum of the valid pixels' weights) or `"sum"` (nothing, the paper).
        name: of the loss.

    Call arguments:
        y_true: integer labels `(batch, height, width)` or `(batch, height, width, 1)`. A value that is neither a class
            nor ignored is an error that `keras_segnet.data` finds before training; the loss itself does not look. Or
            one-hot labels `(batch, height, width, num_classes)`, in which a pixel of zeros is ignored.
        y_pred: float `(batch, height, width, num_classes)`.
        sample_weight: optional, multiplies the loss of each image, `(batch,)`, or of each pixel,
            `(batch, height, width)`; a size may be 1.

    Returns:
        Scalar float32. A batch without a valid pixel has loss 0.

    Raises:
        ValueError: an argument is not one of the above.
    """

    def __init__(
        self,
        num_classes: int,
        class_weights: Sequence[float] | Mapping[int, float] | np.ndarray | None = None,
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

    def set_class_weights(self, class_weights: Sequence[float] | Mapping[int, float] | np.ndarray) -> None:
        """Replaces the class weights: `(num_classes,)` or a dict, finite and not negative, else a ValueError."""
        if isinstance(class_weights, Mapping):
            for key in class_weights:
                if isinstance(key, bool) or key not in range(self.num_classes):
                    raise ValueError(f"class_weights has a key {key!r}; classes are 0 to {self.num_classes - 1}.")
            class_weights = [class_weights.get(number, 1.0) for number in range(self.num_classes)]
        weights = np.asarray(class_weights, np.float32)
        if weights.shape != (self.num_classes,):
            raise ValueError(f"class_weights must be {self.num_classes} numbers; its shape is {weights.shape}.")
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError(f"class_weights must be finite and not negative; they are {weights.tolist()}.")
        self.class_weights.assign(weights)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if sample_weight is not None:
            shape = tuple(ops.convert_to_tensor(sample_weight).shape)
            if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
                sample_weight = ops.reshape(sample_weight, (-1, 1, 1))
            elif len(shape) == 2:
                raise ValueError(
                    f"sample_weight must be (batch,) or (batch, height, width), not {shape}. If it is class_weight "
                    "of model.fit, which knows no pixels: use WeightedCrossentropy(..., class_weights={...})."
                )
        return super().__call__(y_true, y_pred, sample_weight)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Loss of each pixel, already divided, so that the sum is the loss of the batch: float32 like the labels."""
        classes = self._one_hot(y_true, len(y_pred.shape))
        weights = ops.sum(classes * self.class_weights, axis=-1)
        losses = -weights * ops.sum(classes * self._log_probabilities(y_pred), axis=-1)
        if self.normalization == "sum":
            return losses
        divisor = ops.sum(weights if self.normalization == "weights" else classes)
        # Keras adds up the losses of several devices, which each see a part of the batch.
        from keras_segnet.training.devices import sum_over_devices  # See `keras_segnet._register`.

        divisor = sum_over_devices(divisor)
        return losses / ops.where(divisor > 0, divisor, 1.0)

    def _one_hot(self, y_true: Any, rank: int) -> Any:
        """Float32 `(batch, height, width, num_classes)`: a row of zeros where a pixel is ignored.

        A product with it is deterministic on every backend, which the gradient of looking a probability up is not.
        """
        if len(y_true.shape) == rank:
            if y_true.shape[-1] == self.num_classes > 1:
                return ops.cast(y_true, "float32")
            y_true = ops.squeeze(y_true, axis=-1)
        labels = ops.cast(y_true, "int32")
        if self.ignore_class is not None:
            labels = ops.where(labels != self.ignore_class, labels, -1)
        return ops.one_hot(labels, self.num_classes, dtype="float32")

    def _log_probabilities(self, y_pred: Any) -> Any:
        logits = y_pred if self.from_logits else logits_beside(y_pred)
        if logits is not None:
            return ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
        y_pred = ops.cast(y_pred, "float32")
        # Normalised as Keras does. The bound is below what keras_segnet.layers.Softmax gives in training.
        y_pred = y_pred / ops.sum(y_pred, axis=-1, keepdims=True)
        return ops.log(ops.maximum(y_pred, SMALLEST))

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
