"""`keras-segnet check-gpu`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.cli.commands.arguments import fail
from keras_segnet.cli.screen import console, say


def check_gpu(
    file: Annotated[Path, typer.Argument(help="The .tflite file to check.")],
    software_device: Annotated[
        Path | None,
        typer.Option(
            help="Run on SwiftShader, a software Vulkan driver, from this folder, not on a GPU; see export/README.md."
        ),
    ] = None,
) -> None:
    """Check that a .tflite file runs fully on the GPU, and gives the labels that it gives on the CPU.

    Runs the file with LiteRT's GPU backend and on the CPU, and compares. Prints each op that the GPU backend rejects.
    The exit status is 1 if it rejects one, or if the labels differ.

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
