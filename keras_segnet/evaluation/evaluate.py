"""Scores a segmenter on a data set, at the resolution of the labels."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.data import open_dataset
from keras_segnet.data.dataset import Classes, Example, SegmentationDataset
from keras_segnet.errors import InputError
from keras_segnet.evaluation.boundary import DEFINITIONS, TOLERANCE, boundary_f1, image_score, mean_score
from keras_segnet.files import write_text
from keras_segnet.inference.open import open_segmenter, said_of_tiles
from keras_segnet.inference.segmenters import Labelled, Prediction
from keras_segnet.inference.stream import predict_each
from keras_segnet.metrics import ConfusionMatrix, Scores
from keras_segnet.progress import Display, Printed


@dataclass(frozen=True)
class Evaluation:
    """The scores of a model on a data set. In Jupyter it shows itself as a table.

    Attributes:
        title: the model's name and the data set's.
        classes: what the rows of the matrix mean.
        matrix: all pixels, by label and prediction.
        boundary: boundary F1, a fraction of 1, of each definition in `keras_segnet.evaluation.boundary`; empty if it
            was not asked for.
    """

    title: str
    classes: Classes
    matrix: ConfusionMatrix
    boundary: dict[str, float] = field(default_factory=dict)

    @property
    def scores(self) -> Scores:
        """Global accuracy, class average accuracy, mean IoU, and those of each class."""
        return self.matrix.scores()

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Name, accuracy and IoU in percent, pixels: a row a class, then the averages."""
        yield from table_rows(self.scores, self.classes)

    def one_line(self) -> str:
        """G, C, mIoU and BF in percent, as the paper's tables have them, and which BF it is."""
        scores = self.scores
        figures = {"G": scores.global_accuracy, "C": scores.class_average_accuracy, "mIoU": scores.mean_iou}
        figures |= {f"BF ({definition})": score for definition, score in self.boundary.items()}
        return " / ".join(f"{name} {percent(score)}" for name, score in figures.items())

    def as_json(self) -> dict[str, Any]:
        """The scores as JSON takes them: fractions of 1, null where there was nothing to divide by."""
        content = scores_as_json(self.scores, self.classes)
        if self.boundary:
            content["boundary_f1"] = {name: _number(score) for name, score in self.boundary.items()}
            content["boundary_tolerance"] = TOLERANCE
        return content

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes `as_json` into a file.

        Raises:
            InputError: it cannot be written.
        """
        write_text(Path(path), json.dumps(self.as_json(), indent=2) + "\n")

    def _repr_html_(self) -> str:
        heading = "".join(f"<th>{name}</th>" for name in ("class", "accuracy, %", "IoU, %", "pixels"))
        rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self.rows()]
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        caption = f"{html.escape(self.title)}<br>{html.escape(self.one_line())}"
        return f"<table><caption>{caption}</caption><tr>{heading}</tr>{body}</table>"


def evaluate(
    model: Any,
    data: str | os.PathLike[str] | SegmentationDataset,
    split: str = "test",
    *,
    boundary: bool = False,
    samples: int | None = None,
    flip: bool = False,
    crf: bool = False,
    fit: str | None = None,
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
    display: Display | None = None,
) -> Evaluation:
    """Scores a model on labelled images, at the labels' own resolution, as `keras-segnet evaluate` does.

    Images are read and scored in threads beside the network, which runs in batches; memory does not grow with their
    number. Probabilities are resized to each label's own size before the class is chosen.

    Args:
        model: a `.keras`, `.tflite` or `.onnx` file, the folder of a SavedModel, the name of a network that comes
            trained, a Keras model, or a `Segmenter`.
        data: a folder or name that `keras_segnet.data.open_dataset` takes, or a data set.
        split: "train", "val" or "test" of it. Default "test". Of a data set, which is one split, it says nothing.
        boundary: score boundary F1 too, by both definitions. Default no: it takes some 20 ms an image.
        samples: score the mean of this many passes with dropout on, of a Keras model that has some. Default: one pass
            without.
        flip: average over each image and its mirror image.
        crf: refine predictions by a dense CRF.
        fit: by which rule images become inputs: "stretch" (as a whole, whatever the aspect ratio), "pad" (as a whole,
            with padding), "tile" (in overlapping parts, blended) or "auto" (in parts where an image is more than twice
            as high or wide as the input, else stretched). Default: the rule that the model was trained with; "auto" for
            a model that says none, but "stretch" for a `Segmenter`.
        tile: height and width of the parts, in pixels of the image, each of which becomes an input. Default: the
            input's size, over the image scale of training.
        overlap: pixels that the parts share at least. Default: a quarter of their height and width.
        display: shows how far it is. Default: a bar, in a terminal and in Jupyter.

    Raises:
        InputError: there is no such model or data set, they differ in their number of classes, or an example is faulty.

    Example: `keras_segnet.evaluate("segnet_edge", "CamVid", boundary=True).save("scores.json")`
    """
    dataset = data if isinstance(data, SegmentationDataset) else open_dataset(os.fspath(data), split)
    segmenter = open_segmenter(model, samples=samples, flip=flip, crf=crf, fit=fit, tile=tile, overlap=overlap)
    classes = dataset.classes
    if segmenter.num_classes != len(classes):
        raise InputError(f"the model predicts {segmenter.num_classes} classes and {dataset.name} has {len(classes)}.")
    definitions = DEFINITIONS if boundary else ()

    def read(index: int) -> tuple[np.ndarray, Example]:
        example = dataset.check(index)
        return example.image, example

    def compare(example: Example, prediction: Prediction | Labelled) -> tuple[np.ndarray, list[float], bool]:
        matrix, label = ConfusionMatrix(len(classes), classes.ignored), prediction.label
        matrix.add(example.label, label)
        outlines = [
            image_score(boundary_f1(example.label, label, len(classes), classes.ignored, definition), definition)
            for definition in definitions
        ]
        return matrix.counts, outlines, isinstance(prediction, Labelled)

    total, images, tiled = ConfusionMatrix(len(classes), classes.ignored), [], 0
    display = display or Printed()
    scored = predict_each(segmenter, range(len(dataset)), read, compare)
    for counts, outlines, in_tiles in display(scored, len(dataset), f"Evaluating on {dataset.name}"):
        total.counts += counts
        images.append(outlines)
        tiled += in_tiles
    if said := said_of_tiles(segmenter, tiled, len(dataset)):
        display.say(said)
    by_definition = {
        name: mean_score([outlines[place] for outlines in images]) for place, name in enumerate(definitions)
    }
    name = model if isinstance(model, str | os.PathLike) else getattr(model, "name", type(model).__name__)
    return Evaluation(f"{name} on {dataset.name}", classes, total, by_definition)


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
