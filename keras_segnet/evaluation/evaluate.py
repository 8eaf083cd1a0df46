"""Scores a segmenter on a data set, at the resolution of the labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_segnet.data.dataset import Classes, SegmentationDataset
from keras_segnet.errors import InputError
from keras_segnet.evaluation.boundary import BoundaryF1
from keras_segnet.inference.segmenters import Segmenter
from keras_segnet.metrics import ConfusionMatrix, Scores
from keras_segnet.progress import Progress, silent


def evaluate(
    segmenter: Segmenter,
    dataset: SegmentationDataset,
    progress: Progress = silent,
    boundary: BoundaryF1 | None = None,
) -> ConfusionMatrix:
    """Counts labels against predictions over a whole data set.

    Probabilities are resized to each label's own size before the class is chosen, whatever the network's input size.

    Args:
        segmenter: the model.
        dataset: what it is scored on.
        progress: shows how far it is.
        boundary: is given all labels and predictions too, if there is one.

    Raises:
        InputError: network and data set differ in their number of classes, or an example is faulty.
    """
    if segmenter.num_classes != len(dataset.classes):
        raise InputError(
            f"the model predicts {segmenter.num_classes} classes and {dataset.name} has {len(dataset.classes)}."
        )
    matrix = ConfusionMatrix(len(dataset.classes), dataset.classes.ignored)
    for index in progress(range(len(dataset)), len(dataset), f"Evaluating on {dataset.name}"):
        example = dataset.check(index)
        prediction = segmenter.label(example.image)
        matrix.add(example.label, prediction)
        if boundary is not None:
            boundary.update_state(example.label, prediction)
    return matrix


def scores_as_json(scores: Scores, classes: Classes) -> dict[str, Any]:
    """The scores as JSON takes them: fractions of 1, null where there was nothing to divide by."""
    return {
        "global_accuracy": _number(scores.global_accuracy),
        "class_average_accuracy": _number(scores.class_average_accuracy),
        "mean_iou": _number(scores.mean_iou),
        "classes": {
            name: {"accuracy": _number(accuracy), "iou": _number(iou), "pixels": int(pixels)}
            for name, accuracy, iou, pixels in zip(
                classes.names, scores.class_accuracy, scores.class_iou, scores.pixels, strict=True
            )
        },
    }


def table_rows(scores: Scores, classes: Classes) -> Iterator[tuple[str, str, str, str]]:
    """Name, accuracy and IoU in percent, pixels: a row a class, then the averages."""
    for name, accuracy, iou, pixels in zip(
        classes.names, scores.class_accuracy, scores.class_iou, scores.pixels, strict=True
    ):
        yield name, percent(accuracy), percent(iou), f"{pixels:,}"
    yield "class average", percent(scores.class_average_accuracy), percent(scores.mean_iou), f"{scores.pixels.sum():,}"
    yield "global accuracy", percent(scores.global_accuracy), "", ""


def percent(fraction: float) -> str:
    return "-" if np.isnan(fraction) else f"{100 * fraction:.2f}"


def _number(fraction: float) -> float | None:
    return None if np.isnan(fraction) else float(fraction)
