"""A whole export: opens model and data, writes, judges, scores the precisions. `keras-segnet export` calls it too."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.data import SegmentationDataset, open_dataset
from keras_segnet.data.dataset import Classes
from keras_segnet.data.geometry import AUTO, Fit
from keras_segnet.errors import InputError
from keras_segnet.evaluation.evaluate import evaluate
from keras_segnet.exporting.parity import ParityError, ParityReport, as_text
from keras_segnet.exporting.writing import check_path
from keras_segnet.formats import Format, check_options
from keras_segnet.inference.classes import written_classes_of
from keras_segnet.inference.segmenters import KerasSegmenter, Segmenter, fit_beside, load_keras_model, load_segmenter
from keras_segnet.metrics import Scores
from keras_segnet.progress import Display, Printed


@dataclass(frozen=True)
class Exported:
    """An exported file. Shows itself as a table, in Jupyter too.

    Attributes:
        path: of the file or folder.
        report: how it was held against the Keras model.
        dataset: name of the data that `scores` are on.
        scores: of the Keras model and of the file in each precision, for an int8 export; else empty.
    """

    path: Path
    report: ParityReport
    dataset: str
    scores: Mapping[str, Scores]

    def segmenter(self) -> Segmenter:
        """The file at work."""
        return load_segmenter(self.path)

    def __rich__(self) -> Any:
        from rich.console import Group

        return Group(self.report, *([_scores_table(self.dataset, self.scores)] if self.scores else []))

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _scores_table(dataset: str, scores: Mapping[str, Scores]) -> Any:
    from rich.table import Table

    table = Table("model", title=f"Precisions on {dataset}", title_justify="left")
    for heading in ("global accuracy, %", "class average, %", "mean IoU, %"):
        table.add_column(heading, justify="right")
    for name, score in scores.items():
        figures = (score.global_accuracy, score.class_average_accuracy, score.mean_iou)
        table.add_row(name, *(f"{100 * figure:.2f}" for figure in figures))
    return table


def export(
    model: str | Path | keras.Model,
    *,
    format: str = "tflite",
    output: str | Path,
    data: str | Path | None = None,
    split: str = "val",
    images: int = 20,
    calibration_images: int = 100,
    overwrite: bool = False,
    display: Display | None = None,
    **options: Any,
) -> Exported:
    """Exports a model, and proves that the file is the model's.

    Args:
        model: a Keras model; the path of a .keras file; or the name of a network that the package has trained.
        format: `"tflite"` (default), `"onnx"`, `"saved_model"` or `"web"`.
        output: file or folder to write.
        data: images whose labels are compared: as for `keras_segnet.train`. Default: drawn streets. An int8 export
            needs it: the ranges of activations are measured on its training images.
        split: which part of the data, `"train"`, `"val"` (default) or `"test"`. An int8 export scores the Keras model
            and the file in each precision on it.
        images: number of images to compare on, spread over the data. Default 20.
        calibration_images: number of training images on which the ranges of an int8 file are measured. Default 100.
        overwrite: whether a file that is there may be replaced. Default False.
        display: where lines and progress are shown. Default: standard output, and bars in Jupyter and terminals.
        options: those of the format: see `to_tflite`, `to_onnx`, `to_saved_model` and `to_web`.

    Returns:
        What was written, and how it compares.

    Raises:
        InputError: an argument or an image is wrong.
        ParityError: the file is not the model's. Nothing is written then.
    """
    display = display or Printed()
    kind = check_options(format, options)
    path = check_path(output, kind.suffix, overwrite)
    is_int8 = kind.is_int8(options)
    if is_int8 and data is None and "representative_data" not in options:
        raise InputError("an int8 export needs `data`: images on which the ranges of activations are measured.")
    dataset = None if data is None else open_dataset(str(data), split)
    keras_model = model if isinstance(model, keras.Model) else load_keras_model(Path(model))
    num_classes = keras_model.output_shape[-1]
    if "classes" in kind.arguments:
        written = None if isinstance(model, keras.Model) else written_classes_of(Path(model), num_classes)
        options = {"classes": written or _same_count(dataset, num_classes), **options}
    compared: list[np.ndarray] = []
    if dataset is None:
        display.say("No data is given; comparing on drawn streets and noise.")
    else:
        compared = pictures_of(dataset, images, display)
    if is_int8 and data is not None and "representative_data" not in options:
        training = open_dataset(str(data), "train")
        if len(training.classes) != num_classes:
            raise InputError(
                f"the model predicts {num_classes} classes and {training.name} has {len(training.classes)}; calibrate "
                "on images like those it was trained on."
            )
        options = {**options, "representative_data": pictures_of(training, calibration_images, display)}
    known = None if isinstance(model, keras.Model) else fit_beside(Path(model))
    report = kind.write(
        keras_model, path, images=compared, fit=known or AUTO, overwrite=overwrite, progress=display, **options
    )
    scores: dict[str, Scores] = {}
    if is_int8 and "precision" in kind.arguments and dataset is not None:
        scores = _compare_precisions(keras_model, kind, path, dataset, compared, options, known or AUTO, display)
    return Exported(path, report, "" if dataset is None else dataset.name, scores)


def _same_count(dataset: SegmentationDataset | None, num_classes: int) -> Classes | None:
    return dataset.classes if dataset is not None and len(dataset.classes) == num_classes else None


def pictures_of(dataset: SegmentationDataset, count: int, display: Display) -> list[np.ndarray]:
    """Images spread over a data set."""
    chosen = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int))
    return [dataset[int(index)].image for index in display(chosen, len(chosen), f"Reading {dataset.name}")]


def _compare_precisions(
    model: keras.Model,
    kind: Format,
    int8: Path,
    dataset: SegmentationDataset,
    images: list[np.ndarray],
    options: dict[str, Any],
    fit: Fit,
    display: Display,
) -> dict[str, Scores]:
    """Scores of the Keras model, and of the file in each precision.

    A precision that the gate refuses is left out with a word: the file that was asked for is there all the same.
    """
    segmenters: dict[str, Segmenter] = {"Keras": KerasSegmenter(model)}
    floating = {name: value for name, value in options.items() if name in ("head", "input_size")}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "float16"):
            path = Path(folder) / f"{precision}{kind.suffix}"
            try:
                kind.write(model, path, precision=precision, images=images, fit=fit, progress=display, **floating)
                segmenters[precision] = load_segmenter(path)
            except ParityError as error:
                display.say(f"Left out of the comparison: {error}")
        segmenters["int8"] = load_segmenter(int8)
        for segmenter in segmenters.values():
            segmenter.fit = fit
        return {name: evaluate(segmenter, dataset, display=display).scores for name, segmenter in segmenters.items()}


__all__ = ["Exported", "export"]
