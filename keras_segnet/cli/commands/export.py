"""`keras-segnet export` and `keras-segnet check-parity`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_segnet.catalogue import KERAS_MODEL, refuse_missing_model
from keras_segnet.cli.commands.arguments import Split, as_option, chosen, fail
from keras_segnet.cli.screen import Screen, console, say
from keras_segnet.errors import refuse_unknown
from keras_segnet.formats import FORMATS
from keras_segnet.training.configuration import with_settings

if TYPE_CHECKING:
    from keras_segnet.exporting import ParityReport


DATA_HELP = "Compare labels on these images: a folder of labelled images, or 'camvid'. [default: drawn streets]"

Verbose = Annotated[bool, typer.Option("--verbose", help="List the ops in the file, with their counts.")]


def _options() -> Iterator[inspect.Parameter]:
    """The options of all formats, each once."""
    for option in dict.fromkeys(option for each in FORMATS.values() for option in each.options):
        takers = [name for name, each in FORMATS.items() if option in each.options]
        yield as_option(option.name, option.kind, f"{option.help}  [for {', '.join(takers)}]")


@with_settings([*_options()])
def export(
    model: Annotated[
        Path, typer.Argument(help="A .keras file, or segnet_edge or segnet_basic, which come with the package.")
    ],
    format: Annotated[str, typer.Option(help="Write this format.", metavar="|".join(FORMATS))],
    output: Annotated[
        Path, typer.Option(help="Write this file or folder; it must not exist unless --overwrite is given.")
    ],
    data: Annotated[str | None, typer.Option(help=DATA_HELP)] = None,
    split: Annotated[Split, typer.Option(help="Compare on this split of --data.")] = Split.val,
    images: Annotated[int, typer.Option(min=1, help="Compare on this many images, spread over the split.")] = 20,
    calibration_images: Annotated[
        int, typer.Option(min=1, help="Measure the ranges of an int8 or int16x8 file on this many training images.")
    ] = 100,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing --output.")] = False,
    verbose: Verbose = False,
    **options: Any,
) -> None:
    """Export a model, and prove that the file computes what the model does.

    The parity gate compares the file's constants, the output of each layer and the labels with the Keras model's. If a
    difference is larger than rounding explains, nothing is written and the exit status is 1.

    An int8 export needs --data. It scores the Keras model and the file in all precisions on --split. If int8 loses more
    than a hundredth of mean IoU, or is refused, the command also shows what rounding costs each layer, and what int16x8
    or some layers in float32 would cost.

    Example: `keras-segnet export runs/first/model.keras --format tflite --output segnet.tflite --data my_images`

    In eight bits: `keras-segnet export MODEL --format tflite --precision int8 --output small.tflite --data my_images`

    For TensorRT: `keras-segnet export MODEL --format onnx --output segnet.onnx --data my_images`

    For browsers: `keras-segnet export MODEL --format web --output page --data my_images`; see `keras-segnet serve`
    """
    # Before anything is imported.
    refuse_missing_model(model, KERAS_MODEL)
    refuse_unknown("format", format, FORMATS)
    given = chosen(options)
    for option in (option for each in FORMATS.values() for option in each.options):
        if option.choices and option.name in given:
            refuse_unknown(option.name, given[option.name], option.choices)

    from keras_segnet.exporting import ParityError
    from keras_segnet.exporting import export as export_model

    try:
        exported = export_model(
            str(model),
            format=format,
            output=output,
            data=data,
            split=split.value,
            images=images,
            calibration_images=calibration_images,
            overwrite=overwrite,
            display=Screen(),
            **given,
        )
    except ParityError as error:
        fail(str(error), 1)
    console.print(exported)
    if verbose:
        show_ops(exported.report)


def check_parity(
    file: Annotated[Path, typer.Argument(help="The exported file: .tflite, .onnx, or a SavedModel folder.")],
    model: Annotated[Path, typer.Option(help="Compare with this model: a .keras file, segnet_edge or segnet_basic.")],
    data: Annotated[str | None, typer.Option(help=DATA_HELP)] = None,
    split: Annotated[Split, typer.Option(help="Compare on this split of --data.")] = Split.val,
    images: Annotated[int, typer.Option(min=1, help="Compare on this many images, spread over the split.")] = 20,
    verbose: Verbose = False,
) -> None:
    """Check that an exported file computes what a model does, whichever program wrote it.

    Makes the same comparisons as `export`. The exit status is 1 if one fails.

    Example: `keras-segnet check-parity segnet.tflite --model runs/first/model.keras`
    """
    refuse_missing_model(model, KERAS_MODEL)

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
