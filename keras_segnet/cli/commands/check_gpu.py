"""`keras-segnet check-gpu`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.cli.commands.arguments import fail
from keras_segnet.cli.screen import console, say


def check_gpu(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")],
    software_device: Annotated[
        Path | None, typer.Option(help="Folder with SwiftShader, to use instead of a GPU; see export/README.md.")
    ] = None,
) -> None:
    """Say whether LiteRT's GPU backend takes a file whole, and which ops it does not take.

    Runs the file on the GPU alone, beside the CPU, and compares. The exit status is 1 if the GPU does not take all of
    it or computes something else.

    Example: `keras-segnet check-gpu segnet.tflite`
    """
    from keras_segnet.exporting import check_gpu as check

    try:
        with console.status(f"Running {file} on the GPU"):
            report = check(file, software_device=software_device)
    except RuntimeError as error:
        fail(str(error), 1)
    if report.device is None:
        fail("there is no Vulkan device here; with --software-device one made of software will do.", 2)
    say(f"Device: {report.device}")
    for line in report.rejected:
        say(f"Not taken: {line}")
    if not report.fully_accelerated:
        fail(f"the GPU backend does not take {file} whole.", 1)
    say(
        f"{file} runs on the GPU whole. {100 * report.label_agreement:.3f} % of its labels are those of the CPU, the "
        f"largest difference is {report.largest_difference:.1e}."
    )
    if report.label_agreement < 0.999:
        fail(f"{file} gives other labels on the GPU than on the CPU.", 1)
