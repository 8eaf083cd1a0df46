"""`keras-segnet export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_segnet.cli import screen
from keras_segnet.cli.commands.arguments import Split, fail, parse_size
from keras_segnet.cli.screen import console, say

if TYPE_CHECKING:
    from keras_segnet.data import SegmentationDataset
    from keras_segnet.exporting import ParityReport
    from keras_segnet.inference.segmenters import Segmenter


class Format(StrEnum):
    saved_model = "saved_model"
    tflite = "tflite"
    onnx = "onnx"


def export(
    model: Annotated[
        Path, typer.Argument(help="A .keras file, or segnet_edge or segnet_basic, which the package has.")
    ],
    format: Annotated[Format, typer.Option(help="What to write.")],
    output: Annotated[Path, typer.Option(help="File or folder to write; must not exist.")],
    data: Annotated[
        str | None,
        typer.Option(help="Images to compare on: a folder of labelled images, 'camvid' or 'streets' (default)."),
    ] = None,
    split: Annotated[Split, typer.Option(help="Which part of the data.")] = Split.val,
    images: Annotated[int, typer.Option(min=1, help="Compare on this many images, spread over the data.")] = 20,
    input_size: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHTxWIDTH", help="Size of a .tflite or .onnx file's input, where the model's is open."
        ),
    ] = None,
    precision: Annotated[str, typer.Option(help="Of a .tflite file: float32, float16 or int8.")] = "float32",
    head: Annotated[
        str, typer.Option(help="Of a .tflite or .onnx file: probabilities, logits or class_map.")
    ] = "probabilities",
    interface: Annotated[
        str, typer.Option(help="Dtype that an int8 file takes and gives: float32, int8 or uint8.")
    ] = "float32",
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Have an .onnx file take any number of images at once.")
    ] = False,
    calibration_images: Annotated[
        int, typer.Option(min=1, help="Training images on which the ranges of an int8 file are measured.")
    ] = 100,
) -> None:
    """Export a model, and prove that it gives the same labels.

    The exported file runs on images beside the Keras model. If less than 99.9 % of the pixels get the same label
    (99.5 % for float16, 95 % for int8), nothing is written and the exit status is 1. An int8 export needs --data, and
    scores the Keras model and the file in all three precisions on --split.

    Example: `keras-segnet export runs/first/model.keras --format tflite --output segnet.tflite --data my_images`

    In eight bits: `keras-segnet export MODEL --format tflite --precision int8 --output small.tflite --data my_images`

    For TensorRT: `keras-segnet export MODEL --format onnx --output segnet.onnx --data my_images`
    """
    from keras_segnet.data import open_dataset
    from keras_segnet.errors import InputError
    from keras_segnet.exporting import ParityError
    from keras_segnet.inference.classes import written_classes_of
    from keras_segnet.inference.segmenters import load_keras_model

    if output.exists():
        raise InputError(f"{output} exists already; remove it or choose another --output.")
    if format is not Format.tflite and (precision, interface) != ("float32", "float32"):
        raise InputError("--precision and --interface are for --format tflite.")
    if format is Format.saved_model and (head, input_size) != ("probabilities", None):
        raise InputError("--head and --input-size are for --format tflite and onnx.")
    if format is not Format.onnx and dynamic_batch:
        raise InputError("--dynamic-batch is for --format onnx.")
    if precision == "int8" and data is None:
        raise InputError("--precision int8 needs --data: images on which the ranges of activations are measured.")
    size = None if input_size is None else parse_size(input_size)
    dataset = open_dataset(data or "streets", split.value)
    if data is None:
        say("No --data is given; comparing on drawn streets.")
    keras_model = load_keras_model(model)
    if format is not Format.saved_model and size is None and None in keras_model.input_shape[1:3]:
        raise InputError(f"{model} takes images of any size; a file of --format {format.value} needs one --input-size.")
    options: dict[str, Any] = {}
    if format is not Format.saved_model:
        options |= {"head": head, "input_size": size}
    if format is Format.tflite:
        options |= {"precision": precision, "interface": interface}
        options["classes"] = written_classes_of(model, keras_model.output_shape[-1])
    if format is Format.onnx:
        options |= {"dynamic_batch": dynamic_batch}
    if precision == "int8":
        training = open_dataset(str(data), "train")
        _refuse_other_classes(keras_model, training)
        options["representative_data"] = pictures_of(training, calibration_images)
    try:
        report = export_model(keras_model, format, output, dataset, images, options)
    except ParityError as error:
        fail(str(error), 1)
    show_reports([report])
    if precision == "int8":
        compare_precisions(keras_model, output, dataset, images, options)


def _refuse_other_classes(model: Any, dataset: SegmentationDataset) -> None:
    from keras_segnet.errors import InputError

    if model.output_shape[-1] != len(dataset.classes):
        raise InputError(
            f"the model predicts {model.output_shape[-1]} classes and {dataset.name} has {len(dataset.classes)}; "
            "calibrate on images like those it was trained on."
        )


def pictures_of(dataset: SegmentationDataset, count: int) -> list[Any]:
    """Images spread over a data set."""
    import numpy as np

    chosen = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int))
    return [dataset[int(index)].image for index in screen.progress(chosen, len(chosen), f"Reading {dataset.name}")]


def export_model(
    model: Any, format: Format, output: Path, dataset: SegmentationDataset, images: int, options: dict[str, Any]
) -> ParityReport:
    """Exports and compares on images spread over a data set."""
    from keras_segnet import exporting

    to_format = {
        Format.saved_model: exporting.to_saved_model,
        Format.tflite: exporting.to_tflite,
        Format.onnx: exporting.to_onnx,
    }[format]
    return to_format(model, output, images=pictures_of(dataset, images), progress=screen.progress, **options)


def compare_precisions(
    model: Any, exported: Path, dataset: SegmentationDataset, images: int, options: dict[str, Any]
) -> None:
    """Shows the scores of the Keras model, and of the file in each precision, on one data set.

    A precision that the gate refuses is left out with a word: the file that was asked for is there all the same.
    """
    import tempfile

    from keras_segnet.evaluation.evaluate import evaluate
    from keras_segnet.exporting import ParityError
    from keras_segnet.inference import load_segmenter
    from keras_segnet.inference.segmenters import KerasSegmenter

    segmenters: dict[str, Segmenter] = {"Keras": KerasSegmenter(model)}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "float16"):
            path = Path(folder) / f"{precision}.tflite"
            floating = {"precision": precision, "head": options["head"], "input_size": options["input_size"]}
            try:
                export_model(model, Format.tflite, path, dataset, images, floating)
                segmenters[precision] = load_segmenter(path)
            except ParityError as error:
                say(f"Left out of the comparison: {error}")
        segmenters["int8"] = load_segmenter(exported)
        scores = {
            name: evaluate(segmenter, dataset, display=screen.Screen()).scores for name, segmenter in segmenters.items()
        }
    console.print(screen.precisions_table(f"Precisions on {dataset.name}", scores))


def show_reports(reports: list[ParityReport]) -> None:
    console.print(screen.parity_table(reports))
    for report in reports:
        say(f"{report.path}: ops " + ", ".join(f"{name} {count}" for name, count in report.ops.items()))
