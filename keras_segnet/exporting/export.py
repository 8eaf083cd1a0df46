"""A whole export: opens model and data, writes, judges, scores the precisions. `keras-segnet export` calls it too."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet import _compat
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
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.metrics import Scores
from keras_segnet.progress import Display, Printed

LOSS = 0.01
"""Largest loss of mean IoU at which an integer file is written without trying ways that lose less."""

KEPT = 2
"""Number of layers, those that rounding hurts most, that such a trial keeps in float32.

The layers that take their output stay in float32 with them.
"""

LISTED = 10
"""Largest number of layers whose rounding errors are listed."""


@dataclass(frozen=True)
class Exported:
    """An exported file. Shows itself as a table, in Jupyter too.

    Attributes:
        path: of the file or folder.
        report: how it was held against the Keras model.
        dataset: name of the data that `scores` are on.
        scores: of the Keras model and of the file in each precision, for a .tflite file of integers with `data`; else
            empty. If the file loses more than `LOSS`, also of one with some layers in float32, and of int16x8.
        reports: of the files that `scores` are of.
    """

    path: Path
    report: ParityReport
    dataset: str
    scores: Mapping[str, Scores]
    reports: Mapping[str, ParityReport]

    def segmenter(self) -> Segmenter:
        """The file at work."""
        return load_segmenter(self.path)

    def __rich__(self) -> Any:
        from rich.console import Group

        shown: list[Any] = [self.report]
        if self.scores:
            shown.append(_precisions_table(self))
        if self.scores and _loses(self.report, self.scores):
            shown.append(_rounding_table(self.report))
        return Group(*shown)

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _precisions_table(exported: Exported) -> Any:
    from rich.table import Table

    table = Table("model", title=f"Precisions on {exported.dataset}", title_justify="left")
    for heading in ("global accuracy, %", "class average, %", "mean IoU, %", "equal labels, %", "size, MB", "here, ms"):
        table.add_column(heading, justify="right")
    for name, score in exported.scores.items():
        figures = [100 * score.global_accuracy, 100 * score.class_average_accuracy, 100 * score.mean_iou]
        if report := exported.reports.get(name):
            figures += [100 * report.label_agreement, report.size / 1e6, 1e3 * report.latency]
        table.add_row(name, *(f"{figure:.2f}" for figure in figures))
    return table


def _rounding_table(report: ParityReport) -> Any:
    from rich.table import Table

    table = Table(
        "layer",
        title=f"What {report.precision} costs each layer by itself, the worst first",
        title_justify="left",
        caption="keep_float keeps layers in float32, and what one gives if the next is kept, too.",
        caption_justify="left",
    )
    table.add_column("error, % of the signal", justify="right")
    for layer, error in list(report.rounding.items())[:LISTED]:
        table.add_row(layer, f"{100 * error:.2f}")
    return table


def _loses(report: ParityReport, scores: Mapping[str, Scores]) -> bool:
    return not report.passed or scores["Keras"].mean_iou - scores[report.precision].mean_iou > LOSS


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
        data: images whose labels are compared: as for `keras_segnet.train`. Default: drawn streets. An int8 or
            int16x8 export needs it: the ranges of activations are measured on its training images.
        split: which part of the data, `"train"`, `"val"` (default) or `"test"`. An int8 or int16x8 export scores the
            Keras model and the file in each precision on it. Where the file loses a hundredth of mean IoU or more, or
            is refused, it also says what rounding costs each layer, and tries what loses less.
        images: number of images to compare on, spread over the data. Default 20.
        calibration_images: number of training images on which the ranges of such a file are measured. Default 100.
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
    if "representative_data" in options:
        options["representative_data"] = list(options["representative_data"])  # Several files measure on it.
    path = check_path(output, kind.suffix, overwrite)
    needs_ranges = kind.computes_in_integers(options) and "representative_data" not in options
    if needs_ranges and data is None:
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
    if needs_ranges:
        training = open_dataset(str(data), "train")
        if len(training.classes) != num_classes:
            raise InputError(
                f"the model predicts {num_classes} classes and {training.name} has {len(training.classes)}; calibrate "
                "on images like those it was trained on."
            )
        options = {**options, "representative_data": pictures_of(training, calibration_images, display)}
    known = None if isinstance(model, keras.Model) else fit_beside(Path(model))
    refusal: ParityError | None = None
    try:
        report = kind.write(
            keras_model, path, images=compared, fit=known or AUTO, overwrite=overwrite, progress=display, **options
        )
    except ParityError as error:
        refusal, report = error, error.report
    name = "" if dataset is None else dataset.name
    exported = Exported(path, report, name, {}, {})
    if dataset is not None and "precision" in kind.arguments and kind.computes_in_integers(options):
        found = _compare_precisions(keras_model, kind, report, dataset, compared, options, known or AUTO, display)
        exported = Exported(path, report, name, *found)
    if refusal is not None:
        if exported.scores:
            display.say(str(exported))
        raise refusal
    return exported


def _same_count(dataset: SegmentationDataset | None, num_classes: int) -> Classes | None:
    return dataset.classes if dataset is not None and len(dataset.classes) == num_classes else None


def pictures_of(dataset: SegmentationDataset, count: int, display: Display) -> list[np.ndarray]:
    """Images spread over a data set."""
    chosen = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int))
    return [dataset[int(index)].image for index in display(chosen, len(chosen), f"Reading {dataset.name}")]


def _compare_precisions(
    model: keras.Model,
    kind: Format,
    report: ParityReport,
    dataset: SegmentationDataset,
    images: list[np.ndarray],
    options: dict[str, Any],
    fit: Fit,
    display: Display,
) -> tuple[dict[str, Scores], dict[str, ParityReport]]:
    """Scores and reports of the Keras model, and of the file in each precision.

    A file that the gate refuses is left out with a word.
    """

    def scored(segmenter: Segmenter) -> Scores:
        segmenter.fit = fit
        return evaluate(segmenter, dataset, display=display).scores

    scores = {"Keras": scored(KerasSegmenter(model))}
    reports = {}
    floating = {name: value for name, value in options.items() if name in ("head", "input_size")}
    calibrated = {**floating, "representative_data": options["representative_data"]}
    with tempfile.TemporaryDirectory() as folder:

        def try_out(name: str, **options: Any) -> None:
            path = Path(folder) / f"{len(scores)}{kind.suffix}"
            try:
                reports[name] = kind.write(model, path, images=images, fit=fit, progress=display, **options)
                scores[name] = scored(load_segmenter(path))
            except ParityError as error:
                display.say(f"Left out of the comparison: {error}")

        for precision in ("float32", "float16"):
            try_out(precision, precision=precision, **floating)
        if report.passed:
            reports[report.precision] = report
            scores[report.precision] = scored(load_segmenter(report.path))
        if _loses(report, scores):
            kept = _worth_keeping(model, report.rounding, options.get("keep_float") or ())
            name = f"{report.precision}, {', '.join(kept)} in float32"
            try_out(name, precision=report.precision, keep_float=kept, **calibrated)
            if report.precision != "int16x8":
                try_out("int16x8", precision="int16x8", **calibrated)
    return scores, reports


def _worth_keeping(model: keras.Model, rounding: Mapping[str, float], kept: Collection[str]) -> list[str]:
    """Layers to keep in float32: `kept`, those that rounding hurts most, and those that take their output.

    Without the latter, the output would be rounded after all.
    """
    indexed = {layer.name for layer in model.layers if isinstance(layer, (MaxPoolingWithArgmax2D, MaxUnpooling2D))}
    known = {layer.name for layer in model.layers} & rounding.keys() - indexed
    takers: dict[str, list[str]] = {}
    for call in _compat.calls(model):
        for tensor in call.input_tensors:
            takers.setdefault(_compat.maker(tensor).name, []).append(call.operation.name)

    def behind(name: str) -> list[str]:
        found = [each for each in takers.get(name, ()) if each not in indexed]
        return [last for each in found for last in ([each] if each in known else behind(each))]

    worst = [name for name in rounding if name in known and name not in kept][:KEPT]
    return list(dict.fromkeys([*kept, *(each for name in worst for each in (name, *behind(name)))]))


__all__ = ["Exported", "export"]
