"""Losses over pixels and over regions, blind to ignored pixels; the first is the weighted cross-entropy of SegNet.

All accept dense integer labels, or one-hot and soft ones. They compute from logits where the last layer lets them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segnet._compat import logits_beside
from keras_segnet.training.configuration import NORMALIZATIONS

SMALLEST = 1e-35
"""Probability below which the loss has no gradient. Its inverse, times a class weight, still fits into float32."""


class SegmentationLoss(keras.losses.Loss):
    """What the losses here have in common: labels become distributions over classes, predictions logarithms.

    Args:
        num_classes: number of classes, without the ignored one.
        ignore_class: label value that takes no part, or None. Default None.
        from_logits: whether predictions are logits. Default False: probabilities.
        label_smoothing: share of each label that is spread over all classes evenly, at least 0 and below 1. Default 0.
        name: of the loss.

    Raises:
        ValueError: an argument is not one of the above.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None,
        from_logits: bool,
        label_smoothing: float,
        name: str,
        **kwargs: Any,
    ) -> None:
        # What is added up, and what it is divided by, are the losses' own, so Keras has nothing left to reduce.
        super().__init__(name=name, **{**kwargs, "reduction": "sum"})
        if not isinstance(num_classes, int) or num_classes < 1:
            raise ValueError(f"num_classes must be a positive int, not {num_classes!r}.")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be at least 0 and below 1, not {label_smoothing!r}.")
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing

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

    def _smoothed(self, classes: Any) -> Any:
        if not self.label_smoothing:
            return classes
        even = ops.sum(classes, axis=-1, keepdims=True) / self.num_classes
        return (1 - self.label_smoothing) * classes + self.label_smoothing * even

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }


@keras.saving.register_keras_serializable("keras_segnet")
class WeightedCrossentropy(SegmentationLoss):
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
        label_smoothing: share of each label that is spread over all classes evenly. Default 0.

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
        *,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, ignore_class, from_logits, label_smoothing, name, **kwargs)
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization must be one of {', '.join(NORMALIZATIONS)}; not {normalization!r}.")
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
        losses = weights * self._unweighted(self._smoothed(classes), self._log_probabilities(y_pred))
        counted = self._counted(losses, classes)
        if counted is not None:
            losses, weights, classes = losses * counted, weights * counted, counted
        if self.normalization == "sum":
            return losses
        divisor = ops.sum(weights if self.normalization == "weights" else classes)
        # Keras adds up the losses of several devices, which each see a part of the batch.
        from keras_segnet.training.devices import sum_over_devices  # See `keras_segnet._register`.

        divisor = sum_over_devices(divisor)
        return losses / ops.where(divisor > 0, divisor, 1.0)

    def _unweighted(self, labels: Any, log_probabilities: Any) -> Any:
        """Loss of each pixel `(batch, height, width)`, of labels and predictions with a last axis of classes."""
        return -ops.sum(labels * log_probabilities, axis=-1)

    def _counted(self, losses: Any, classes: Any) -> Any:
        """The share with which each pixel counts `(batch, height, width)`; None where all that are valid do."""
        return None

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_weights": ops.convert_to_numpy(self.class_weights).tolist(),
            "normalization": self.normalization,
        }


@keras.saving.register_keras_serializable("keras_segnet")
class FocalCrossentropy(WeightedCrossentropy):
    """Cross-entropy in which pixels that are right already count less (Lin et al., arXiv 1708.02002, equation 5).

    A pixel whose class `y` has the probability `p` has the loss `w[y] * (1 - p)^gamma * -log p`.

    Args:
        num_classes, class_weights, ignore_class, from_logits, normalization, label_smoothing: as in
            `WeightedCrossentropy`. Soft labels weigh the losses of the classes.
        gamma: from 0, which is `WeightedCrossentropy`, up. Default 2, the paper's.
        name: of the loss.

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
        name: str = "focal_crossentropy",
        *,
        gamma: float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, class_weights, ignore_class, from_logits, normalization, name, **kwargs)
        if not gamma >= 0:
            raise ValueError(f"gamma must be at least 0, not {gamma!r}.")
        self.gamma = gamma

    def _unweighted(self, labels: Any, log_probabilities: Any) -> Any:
        # Of a power below 1 the slope at 0 is infinite; there the loss is 0 too.
        wrong = ops.maximum(1 - ops.exp(log_probabilities), SMALLEST)
        return -ops.sum(labels * wrong**self.gamma * log_probabilities, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gamma": self.gamma}


@keras.saving.register_keras_serializable("keras_segnet")
class HardestCrossentropy(WeightedCrossentropy):
    """Cross-entropy of the pixels of a batch whose loss is largest: online hard example mining (OHEM, top-k).

    `k` is `fraction` times the number of valid pixels, rounded up. Where the k-th largest loss occurs several times,
    each of these pixels counts in part, so that k count in all. (Of several devices, each takes its own k.)

    Args:
        num_classes, class_weights, ignore_class, from_logits, normalization, label_smoothing: as in
            `WeightedCrossentropy`; by `"valid_pixels"` the sum is divided by k.
        fraction: share of the valid pixels that count, above 0 and at most 1. Default 0.25.
        name: of the loss.

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
        name: str = "hardest_crossentropy",
        *,
        fraction: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, class_weights, ignore_class, from_logits, normalization, name, **kwargs)
        if not 0 < fraction <= 1:
            raise ValueError(f"fraction must be above 0 and at most 1, not {fraction!r}.")
        self.fraction = fraction

    def _counted(self, losses: Any, classes: Any) -> Any:
        losses = ops.stop_gradient(losses)
        valid = ops.cast(ops.sum(classes, axis=-1) > 0, "float32")
        pixels = ops.cast(ops.sum(valid), "float32")
        count = ops.minimum(ops.ceil(self.fraction * pixels), pixels)
        in_order = ops.sort(ops.reshape(ops.where(valid > 0, losses, -1.0), (-1,)))
        # Without a valid pixel the last one, which is not valid.
        place = ops.size(in_order) - ops.cast(ops.maximum(count, 1.0), "int32")
        smallest = ops.take(in_order, place)
        above = valid * ops.cast(losses > smallest, "float32")
        equal = valid * ops.cast(losses == smallest, "float32")
        return above + equal * (count - ops.sum(above)) / ops.maximum(ops.sum(equal), 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fraction": self.fraction}


class RegionLoss(SegmentationLoss):
    """A loss of whole regions instead of pixels: the mean over the classes that a batch's labels hold.

    So a class counts alike however few pixels it has, and there are no class weights.

    Args:
        num_classes, ignore_class, from_logits, label_smoothing: as in `WeightedCrossentropy`.
        name: of the loss.

    Raises:
        ValueError: an argument is not one of the above, or there is a sample_weight.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = None,
        from_logits: bool = False,
        name: str = "region_loss",
        *,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, ignore_class, from_logits, label_smoothing, name, **kwargs)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if sample_weight is not None:
            raise ValueError(f"{self.name} is no sum over images or pixels and takes no sample_weight.")
        return super().__call__(y_true, y_pred)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Scalar float32; 0 for a batch without a valid pixel."""
        from keras_segnet.training.devices import sum_over_devices  # See `keras_segnet._register`.

        classes = ops.reshape(self._one_hot(y_true, len(y_pred.shape)), (-1, self.num_classes))
        predicted = ops.reshape(ops.exp(self._log_probabilities(y_pred)), (-1, self.num_classes))
        valid = ops.cast(ops.sum(classes, axis=-1, keepdims=True) > 0, "float32")
        present = ops.cast(ops.sum(classes, axis=0) > 0, "float32")
        losses = present * self._of_classes(self._smoothed(classes), valid * predicted)
        of_device = ops.sum(losses) / ops.maximum(ops.sum(present), 1.0)
        # Keras adds up the losses of several devices.
        return of_device / sum_over_devices(ops.ones(()))

    def _of_classes(self, labels: Any, predicted: Any) -> Any:
        """Loss of each class `(classes,)`, of labels and probabilities `(pixels, classes)`: zeros where ignored."""
        raise NotImplementedError


@keras.saving.register_keras_serializable("keras_segnet")
class Dice(RegionLoss):
    """1 minus the Dice coefficient of each class over a batch (Milletari et al., arXiv 1606.04797, without squares).

    With labels `y` and probabilities `p` of a class, `1 - (2 sum(y p) + smooth) / (sum(y) + sum(p) + smooth)`.

    Args:
        num_classes, ignore_class, from_logits, label_smoothing: as in `WeightedCrossentropy`.
        smooth: pixels, above 0. Default 1.
        name: of the loss.

    Raises:
        ValueError: an argument is not one of the above, or there is a sample_weight.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = None,
        from_logits: bool = False,
        name: str = "dice",
        *,
        smooth: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, ignore_class, from_logits, name, **kwargs)
        if not smooth > 0:
            raise ValueError(f"smooth must be above 0, not {smooth!r}.")
        self.smooth = smooth

    def _of_classes(self, labels: Any, predicted: Any) -> Any:
        common = ops.sum(labels * predicted, axis=0)
        both = ops.sum(labels, axis=0) + ops.sum(predicted, axis=0)
        return 1 - (2 * common + self.smooth) / (both + self.smooth)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smooth": self.smooth}


@keras.saving.register_keras_serializable("keras_segnet")
class LovaszSoftmax(RegionLoss):
    """The Lovász extension of 1 minus the IoU of each class over a batch (Berman et al., arXiv 1705.08790).

    Args:
        num_classes, ignore_class, from_logits, label_smoothing: as in `WeightedCrossentropy`. Of soft labels, what a
            class lacks and has too much are counted by their shares.
        name: of the loss.

    Raises:
        ValueError: an argument is not one of the above, or there is a sample_weight.
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = None,
        from_logits: bool = False,
        name: str = "lovasz_softmax",
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, ignore_class, from_logits, name, **kwargs)

    def _of_classes(self, labels: Any, predicted: Any) -> Any:
        labels, predicted = ops.transpose(labels), ops.transpose(predicted)
        valid = ops.sum(labels, axis=0, keepdims=True)
        errors = ops.abs(labels - predicted)
        # Ignored pixels have error 0 and so come last, where nothing is added.
        order = ops.argsort(-ops.stop_gradient(errors), axis=-1)
        in_order = ops.take_along_axis(labels, order, axis=-1)
        others = ops.take_along_axis(ops.broadcast_to(valid, ops.shape(labels)) - labels, order, axis=-1)
        total = ops.sum(labels, axis=-1, keepdims=True)
        left = total - ops.cumsum(in_order, axis=-1)
        union = total + ops.cumsum(others, axis=-1)
        lost = 1 - left / ops.where(union > 0, union, 1.0)
        slopes = ops.concatenate([lost[:, :1], lost[:, 1:] - lost[:, :-1]], axis=-1)
        return ops.sum(ops.take_along_axis(errors, order, axis=-1) * ops.stop_gradient(slopes), axis=-1)


@keras.saving.register_keras_serializable("keras_segnet")
class SumOfLosses(keras.losses.Loss):
    """The sum of several losses, such as cross-entropy and Dice.

    Args:
        losses: two or more.
        weights: factor of each. Default: 1.
        name: of the loss.

    Raises:
        ValueError: there are fewer than two, or not as many weights.
    """

    def __init__(
        self,
        losses: Sequence[keras.losses.Loss],
        weights: Sequence[float] | None = None,
        name: str = "sum_of_losses",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **{**kwargs, "reduction": "sum"})
        self.losses = list(losses)
        self.weights = [1.0] * len(self.losses) if weights is None else list(weights)
        if len(self.losses) < 2 or len(self.weights) != len(self.losses):
            raise ValueError(
                f"a sum has two losses or more and a weight for each; not {len(self.losses)} and {len(self.weights)}."
            )

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return sum(
            weight * loss(y_true, y_pred, sample_weight) for loss, weight in zip(self.losses, self.weights, strict=True)
        )

    def get_config(self) -> dict[str, Any]:
        losses = [keras.saving.serialize_keras_object(loss) for loss in self.losses]
        return {"name": self.name, "losses": losses, "weights": self.weights}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SumOfLosses:
        losses = [keras.saving.deserialize_keras_object(loss) for loss in config["losses"]]
        return cls(**{**config, "losses": losses})


KINDS: dict[str, type[SegmentationLoss]] = {
    "crossentropy": WeightedCrossentropy,
    "focal": FocalCrossentropy,
    "ohem": HardestCrossentropy,
    "dice": Dice,
    "lovasz": LovaszSoftmax,
}
"""Losses by their names in the setting `loss` of a run."""


def build_loss(
    name: str,
    num_classes: int,
    class_weights: Sequence[float] | np.ndarray | None = None,
    ignore_class: int | None = None,
    *,
    normalization: str = "valid_pixels",
    label_smoothing: float = 0.0,
) -> keras.losses.Loss:
    """The loss of a name in `KINDS`, or of two with `+` between them: `"crossentropy+dice"` is their sum.

    Args:
        name: of the loss.
        num_classes, class_weights, ignore_class, normalization, label_smoothing: as in `WeightedCrossentropy`. Class
            weights and normalisation are for losses over pixels; others have none.

    Raises:
        ValueError: there is no such loss, or an argument is not one of the above.
    """
    losses = []
    for kind in name.split("+"):
        if kind not in KINDS:
            raise ValueError(f"a loss is one of {', '.join(KINDS)}, or two with + between them; not {name!r}.")
        options: dict[str, Any] = {"ignore_class": ignore_class, "label_smoothing": label_smoothing}
        if issubclass(KINDS[kind], WeightedCrossentropy):
            options |= {"class_weights": class_weights, "normalization": normalization}
        losses.append(KINDS[kind](num_classes, **options))
    return losses[0] if len(losses) == 1 else SumOfLosses(losses)


def weighted_parts(loss: Any) -> list[WeightedCrossentropy]:
    """The losses with class weights that a loss is or is the sum of."""
    parts = loss.losses if isinstance(loss, SumOfLosses) else [loss]
    return [part for part in parts if isinstance(part, WeightedCrossentropy)]


__all__ = [
    "KINDS",
    "Dice",
    "FocalCrossentropy",
    "HardestCrossentropy",
    "LovaszSoftmax",
    "SegmentationLoss",
    "SumOfLosses",
    "WeightedCrossentropy",
    "build_loss",
    "weighted_parts",
]
