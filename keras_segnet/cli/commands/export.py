"""`keras-segnet export` and `keras-segnet check-parity`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_segnet.cli.commands.arguments import Split, fail, parse_size
from keras_segnet.cli.screen import Screen, console, say

if TYPE_CHECKING:
    from keras_segnet.exporting import ParityReport


class Format(StrEnum):
    """Names of `keras_segnet.exporting.FORMATS`, known before TensorFlow is loaded; a test compares."""

    saved_model = "saved_model"
    tflite = "tflite"
    onnx = "onnx"
    web = "web"


DATA_HELP = "Images to compare on beside drawn streets and noise: a folder of labelled images, or 'camvid'."

Verbose = Annotated[bool, typer.Option("--verbose", help="Name the ops in the file and count them.")]


def export(
    model: Annotated[
        Path, typer.Argument(help="A .keras file, or segnet_edge or segnet_basic, which the package has.")
    ],
    format: Annotated[Format, typer.Option(help="What to write.")],
    output: Annotated[Path, typer.Option(help="File or folder to write; must not exist unless --overwrite is given.")],
    data: Annotated[str | None, typer.Option(help=DATA_HELP)] = None,
    split: Annotated[Split, typer.Option(help="Which part of the data.")] = Split.val,
    images: Annotated[int, typer.Option(min=1, help="Compare on this many images, spread over the data.")] = 20,
    input_size: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHTxWIDTH",
            help="Size of the input of a .tflite, .onnx or web export, where the model's is open.",
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of a .tflite file: float32 (default), float16 or int8.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(help="Of a .tflite or .onnx file: probabilities (default), logits or class_map."),
    ] = None,
    interface: Annotated[
        str | None, typer.Option(help="Dtype that an int8 file takes and gives: float32 (default), int8 or uint8.")
    ] = None,
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Have an .onnx file take any number of images at once.")
    ] = False,
    calibration_images: Annotated[
        int, typer.Option(min=1, help="Training images on which the ranges of an int8 file are measured.")
    ] = 100,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is at --output.")] = False,
    verbose: Verbose = False,
) -> None:
    """Export a model, and prove that the file is the model's.

    Compares the file's constants, the output of each layer and the labels with the Keras model's. If one look finds
    more than rounding explains, nothing is written and the exit status is 1. An int8 export needs --data, and scores
    the Keras model and the file in all three precisions on --split.

    Example: `keras-segnet export runs/first/model.keras --format tflite --output segnet.tflite --data my_images`

    In eight bits: `keras-segnet export MODEL --format tflite --precision int8 --output small.tflite --data my_images`

    For TensorRT: `keras-segnet export MODEL --format onnx --output segnet.onnx --data my_images`

    For browsers: `keras-segnet export MODEL --format web --output page --data my_images`; see `keras-segnet serve`
    """
    from keras_segnet.exporting import ParityError
    from keras_segnet.exporting import export as export_model

    options: dict[str, Any] = {
        "input_size": None if input_size is None else parse_size(input_size),
        "precision": precision,
        "head": head,
        "interface": interface,
        "dynamic_batch": dynamic_batch or None,
    }
    try:
        exported = export_model(
            str(model),
            format=format.value,
            output=output,
            data=data,
            split=split.value,
            images=images,
            calibration_images=calibration_images,
            overwrite=overwrite,
            display=Screen(),
            **{name: value for name, value in options.items() if value is not None},
        )
    except ParityError as error:
        fail(str(error), 1)
    console.print(exported)
    if verbose:
        show_ops(exported.report)


def check_parity(
    file: Annotated[Path, typer.Argument(help="A .tflite or .onnx file, or the folder of a SavedModel.")],
    model: Annotated[
        Path, typer.Option(help="The model that it should be: a .keras file, segnet_edge or segnet_basic.")
    ],
    data: Annotated[str | None, typer.Option(help=DATA_HELP)] = None,
    split: Annotated[Split, typer.Option(help="Which part of the data.")] = Split.val,
    images: Annotated[int, typer.Option(min=1, help="Compare on this many images, spread over the data.")] = 20,
    verbose: Verbose = False,
) -> None:
    """Say whether an exported file is a model's, whoever wrote it.

    Takes the same looks as `export` does. The exit status is 1 if one fails.

    Example: `keras-segnet check-parity segnet.tflite --model runs/first/model.keras`
    """
    from keras_segnet.data import open_dataset
    from keras_segnet.exporting import ParityError
    from keras_segnet.exporting import check_parity as check
    from keras_segnet.exporting.export import pictures_of
    from keras_segnet.inference.segmenters import load_keras_model

    display = Screen()
    keras_model = load_keras_model(model)
    compared = None if data is None else pictures_of(open_dataset(data, split.value), images, display)
    try:
        report = check(file, keras_model, compared, progress=display)
    except ParityError as error:
        console.print(error.report)
        fail(str(error), 1)
    console.print(report)
    if verbose:
        show_ops(report)


def show_ops(report: ParityReport) -> None:
    say(f"{report.path}: ops " + ", ".join(f"{name} {count}" for name, count in report.ops.items()))
