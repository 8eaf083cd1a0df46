"""Global accuracy, class average accuracy and mean IoU, from one streaming confusion matrix (paper, section 4).

`ConfusionMatrix` counts in numpy, for evaluation; the Keras metrics count on the device, during training. Both keep
whole numbers: float32 stops counting at 16.8 million pixels, which a hundred images have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segnet import _compat
from keras_segnet.evaluation.boundary import DEFINITIONS, TOLERANCE, boundary_f1, image_score, mean_score


@dataclass(frozen=True)
class Scores:
    """Scores from a confusion matrix. All are fractions of 1; NaN where there is nothing to divide by.

    Attributes:
        global_accuracy: share of valid pixels that are right, the paper's G.
        class_accuracy: float64 `(classes,)`, share of each class's pixels that are right.
        class_average_accuracy: its mean over the classes that the labels hold, the paper's C.
        class_iou: float64 `(classes,)`, intersection over union.
        mean_iou: its mean over the classes that the labels or the predictions hold.
        pixels: int64 `(classes,)`, labelled pixels of each class.
    """

    global_accuracy: float
    class_accuracy: np.ndarray
    class_average_accuracy: float
    class_iou: np.ndarray
    mean_iou: float
    pixels: np.ndarray


class ConfusionMatrix:
    """Counts pixels by label and prediction.

    Args:
        num_classes: number of classes, without the ignored one.
        ignore_class: label value that is left out, or None.

    Attributes:
        counts: int64 `(classes, classes)`; row = label, column = prediction.
    """

    def __init__(self, num_classes: int, ignore_class: int | None = None) -> None:
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.counts = np.zeros((num_classes, num_classes), np.int64)

    def add(self, labels: np.ndarray, predictions: np.ndarray) -> None:
        """Adds pixels: integer arrays of one shape.

        Raises:
            ValueError: the shapes differ, or a value is no class.
        """
        if labels.shape != predictions.shape:
            raise ValueError(f"labels have shape {labels.shape} and predictions {predictions.shape}; they must agree.")
        valid = np.ones(labels.shape, bool) if self.ignore_class is None else labels != self.ignore_class
        true, predicted = labels[valid].astype(np.int64), predictions[valid].astype(np.int64)
        for name, values in (("label", true), ("prediction", predicted)):
            if values.size and not (values.min() >= 0 and values.max() < self.num_classes):
                raise ValueError(
                    f"a {name} is {values.max() if values.min() >= 0 else values.min()}; "
                    f"allowed are 0 to {self.num_classes - 1}."
                )
        pairs = true * self.num_classes + predicted
        self.counts += np.bincount(pairs, minlength=self.num_classes**2).reshape(self.counts.shape)

    def scores(self) -> Scores:
        """G, C and mIoU, and what they are made of."""
        right = np.diag(self.counts).astype(np.float64)
        labelled, predicted = self.counts.sum(axis=1), self.counts.sum(axis=0)
        with np.errstate(invalid="ignore"):
            accuracy = right / labelled
            iou = right / (labelled + predicted - right)
            return Scores(
                global_accuracy=float(right.sum() / labelled.sum()),
                class_accuracy=accuracy,
                class_average_accuracy=_mean(accuracy),
                class_iou=iou,
                mean_iou=_mean(iou),
                pixels=labelled,
            )


def _mean(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


class ConfusionMatrixMetric(keras.metrics.Metric):
    """A Keras metric that reads its value from a streaming confusion matrix.

    Counts are whole numbers up to 2^51, kept as two int32 because JAX has no int64 by default. The lower has 20 bits,
    so that those of a thousand devices can be added up.

    Args:
        num_classes: number of classes, without the ignored one.
        ignore_class: label value that is left out, or None. Default None.
        name: of the metric. Default: its class's in snake case, `mean_iou` for `MeanIoU`.
        dtype: of its result.

    `update_state` takes integer labels `(batch, height, width)`, with or without a last dimension of 1, and
    probabilities or logits `(batch, height, width, num_classes)`; a `sample_weight` is refused with a ValueError,
    because pixels are counted, not weighed.
    """

    default_name: str

    def __init__(
        self, num_classes: int, ignore_class: int | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        # As Keras's own metrics, a second one of a kind has the same name, by which users look for its value.
        super().__init__(name=name or self.default_name, dtype=dtype)
        self._direction = "up"  # Which Keras's callbacks ask for, where they are not told a mode.
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        shape = (num_classes * num_classes,)
        self._low = self.add_variable(shape, keras.initializers.Zeros(), dtype="int32", name="low")
        self._high = self.add_variable(shape, keras.initializers.Zeros(), dtype="int32", name="high")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        if sample_weight is not None:
            raise ValueError(f"{self.name} counts pixels and takes no sample_weight; use weighted_metrics=None.")
        labels = ops.reshape(ops.cast(y_true, "int32"), (-1,))
        predictions = ops.reshape(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), (-1,))
        cells = labels * self.num_classes + predictions
        if self.ignore_class is not None:
            # Ignored pixels go to a cell of their own behind the matrix.
            cells = ops.where(labels == self.ignore_class, self.num_classes**2, cells)
        ones = ops.ones_like(cells)
        counts = ops.segment_sum(ones, cells, num_segments=self.num_classes**2 + 1)[:-1]
        low = self._low + counts
        self._high.assign(self._high + low // _CARRY)
        self._low.assign(low % _CARRY)

    def confusion_matrix(self) -> Any:
        """float32 `(classes, classes)`; row = label, column = prediction."""
        counts = ops.cast(self._high, "float32") * _CARRY + ops.cast(self._low, "float32")
        return ops.reshape(counts, (self.num_classes, self.num_classes))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "ignore_class": self.ignore_class}


_CARRY = 2**20


@keras.saving.register_keras_serializable("keras_segnet")
class GlobalAccuracy(ConfusionMatrixMetric):
    """Share of valid pixels that are right, the paper's G. Arguments: see `ConfusionMatrixMetric`."""

    default_name = "global_accuracy"

    def result(self) -> Any:
        return _global_accuracy(self.confusion_matrix())


@keras.saving.register_keras_serializable("keras_segnet")
class ClassAverageAccuracy(ConfusionMatrixMetric):
    """Mean over the labelled classes of the share of their pixels that are right, the paper's C.

    Arguments: see `ConfusionMatrixMetric`.
    """

    default_name = "class_average_accuracy"

    def result(self) -> Any:
        return _class_average_accuracy(self.confusion_matrix())


@keras.saving.register_keras_serializable("keras_segnet")
class MeanIoU(ConfusionMatrixMetric):
    """Mean intersection over union of the classes that labels or predictions hold.

    Arguments: see `ConfusionMatrixMetric`.
    """

    default_name = "mean_iou"

    def result(self) -> Any:
        return _mean_iou(self.confusion_matrix())


@keras.saving.register_keras_serializable("keras_segnet")
@_compat.registered_as_nested
class SegmentationScores(ConfusionMatrixMetric):
    """`global_accuracy`, `class_average_accuracy` and `mean_iou` together, from one confusion matrix.

    In `model.compile(metrics=[...])` each is a metric with a name and a direction of its own, so
    `EarlyStopping("val_mean_iou")` needs no mode. Arguments: see `ConfusionMatrixMetric`.
    """

    default_name = "segmentation_scores"

    def result(self) -> dict[str, Any]:
        matrix = self.confusion_matrix()
        return {
            "global_accuracy": _global_accuracy(matrix),
            "class_average_accuracy": _class_average_accuracy(matrix),
            "mean_iou": _mean_iou(matrix),
        }

    def parts(self) -> list[keras.metrics.Metric]:
        """The metrics that `model.compile` finds in it."""
        first, *others = SCORES
        return [_Counted(first, self), *(_Score(name, self) for name in others)]


SCORES = ("global_accuracy", "class_average_accuracy", "mean_iou")
"""Names of the scores that `SegmentationScores` returns."""


class _Score(keras.metrics.Metric):
    """One of the scores of a `SegmentationScores`, which keeps the counts."""

    def __init__(self, name: str, of: SegmentationScores) -> None:
        super().__init__(name=name)
        self._direction = "up"
        self.of = of

    @property
    def variables(self) -> list[Any]:
        return []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """The first one counts for all."""

    def reset_state(self) -> None:
        """As does `update_state`."""

    def result(self) -> Any:
        return self.of.result()[self.name]


class _Counted(_Score):
    """The first of them: Keras sees the counts in it."""

    @property
    def variables(self) -> list[Any]:
        return self.of.variables

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.of.update_state(y_true, y_pred, sample_weight)

    def reset_state(self) -> None:
        self.of.reset_state()


def _global_accuracy(matrix: Any) -> Any:
    return ops.divide_no_nan(ops.sum(ops.diagonal(matrix)), ops.sum(matrix))


def _class_average_accuracy(matrix: Any) -> Any:
    return _mean_where_defined(ops.diagonal(matrix), ops.sum(matrix, axis=1))


def _mean_iou(matrix: Any) -> Any:
    right = ops.diagonal(matrix)
    return _mean_where_defined(right, ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - right)


def _mean_where_defined(numerator: Any, denominator: Any) -> Any:
    defined = ops.cast(denominator > 0, "float32")
    return ops.divide_no_nan(ops.sum(ops.divide_no_nan(numerator, denominator)), ops.sum(defined))


@keras.saving.register_keras_serializable("keras_segnet")
class BoundaryF1(keras.metrics.Metric):
    """Boundary F1, averaged over the classes of an image and then over images.

    It needs whole images, in numpy, so `model.compile(metrics=[...])` takes it with `run_eagerly=True` only;
    `keras_segnet.evaluate(..., boundary=True)` scores at the labels' own resolution.

    Args:
        num_classes: number of classes, without the ignored one.
        ignore_class: label value of pixels without a class, or None. Default None.
        definition: `"released"` (default, by which the paper's tables were made) or `"csurka"`; see
            `keras_segnet.evaluation.boundary`, which says what each means.
        tolerance: part of the image's diagonal. Default 0.0075, the paper's.
        name: of the metric.
        dtype: of its result.

    Raises:
        ValueError: an argument is not one of the above.

    Example:

    >>> boundary = BoundaryF1(num_classes=2)
    >>> boundary.update_state([[[0, 0, 1], [0, 0, 1], [0, 0, 1]]], [[[0, 1, 1], [0, 1, 1], [0, 1, 1]]])
    >>> boundary.result()
    0.0
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = None,
        definition: str = "released",
        tolerance: float = TOLERANCE,
        name: str | None = "boundary_f1",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if definition not in DEFINITIONS:
            raise ValueError(f"definition must be one of {', '.join(DEFINITIONS)}; not {definition!r}.")
        if not tolerance >= 0:
            raise ValueError(f"tolerance must be a part of the image's diagonal, at least 0; not {tolerance!r}.")
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.definition = definition
        self.tolerance = tolerance
        self._direction = "up"
        self.reset_state()

    def reset_state(self) -> None:
        self._images: list[float] = []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds images.

        Args:
            y_true: integer labels `(batch, height, width)`, with or without a last dimension of 1; or `(height, width)`
                of one image.
            y_pred: probabilities or logits `(batch, height, width, num_classes)`, or classes in the shape of the
                labels.
            sample_weight: must be None.

        Raises:
            ValueError: the shapes do not go together, there is a `sample_weight`, or the call is part of a compiled
                function.
        """
        if sample_weight is not None:
            raise ValueError(f"{self.name} is an average over images and takes no sample_weight.")
        labels, predictions = self._in_numpy(y_true), self._in_numpy(y_pred)
        if labels.ndim == 4 and labels.shape[-1] == 1:
            labels = labels[..., 0]
        if predictions.ndim == labels.ndim + 1:
            predictions = predictions.argmax(axis=-1)
        if labels.shape != predictions.shape or labels.ndim not in (2, 3):
            raise ValueError(f"labels have shape {labels.shape} and predictions {predictions.shape}; they must agree.")
        if labels.ndim == 2:
            labels, predictions = labels[None], predictions[None]
        for label, prediction in zip(labels, predictions, strict=True):
            scores = boundary_f1(
                label, prediction, self.num_classes, self.ignore_class, self.definition, self.tolerance
            )
            self._images.append(image_score(scores, self.definition))

    def result(self) -> float:
        """The mean over all images so far, a fraction of 1; NaN if there is none."""
        return mean_score(self._images)

    def _in_numpy(self, values: Any) -> np.ndarray:
        try:
            return ops.convert_to_numpy(values)
        except Exception as error:  # Each backend has an error of its own for a tensor without a value.
            raise ValueError(
                f"{self.name} needs values and got {values!r}: compile with run_eagerly=True, or score the model after "
                "training."
            ) from error

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "definition": self.definition,
            "tolerance": self.tolerance,
        }


__all__ = [
    "BoundaryF1",
    "ClassAverageAccuracy",
    "ConfusionMatrix",
    "GlobalAccuracy",
    "MeanIoU",
    "Scores",
    "SegmentationScores",
]
