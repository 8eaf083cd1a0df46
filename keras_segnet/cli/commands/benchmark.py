"""`keras-segnet benchmark`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.catalogue import refuse_missing_model
from keras_segnet.cli import screen
from keras_segnet.cli.commands.arguments import fail, parse_size
from keras_segnet.cli.screen import console, say


def benchmark(
    files: Annotated[list[Path], typer.Argument(help=".tflite, .onnx and .keras files and SavedModel folders.")],
    runs: Annotated[int, typer.Option(min=1, help="Runs of each file that are counted.")] = 50,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads that compute. Default: one for each core.")
    ] = None,
    input_size: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTH", help="Size of the image for files that take any.")
    ] = "360x480",
    profile: Annotated[
        bool, typer.Option("--profile", help="Show the ops that the time of .tflite and .onnx files goes into.")
    ] = False,
) -> None:
    """Time model files side by side on the CPU, for one image.

    Each file runs in a process of its own; they take turns, and what warms up is left out. Memory is what such a
    process takes at most, beyond what it had before it opened the file. The arena, which .tflite files have, is what
    the maps of the network need alone.

    Example: `keras-segnet benchmark segnet.tflite small.tflite segnet.onnx --threads 4 --profile`
    """
    size = parse_size(input_size)
    for file in files:
        refuse_missing_model(file)

    from keras_segnet import benchmarking

    threads = threads or os.cpu_count() or 1
    try:
        found = benchmarking.benchmark(files, runs=runs, threads=threads, input_size=size, progress=screen.Screen())
        title = f"One image, {runs} runs, {threads} thread{'s' if threads > 1 else ''}"
        console.print(screen.benchmarks_table(title, found))
        for file in files if profile else ():
            if file.suffix not in (".tflite", ".onnx"):
                say(f"{file} has no profile; only .tflite and .onnx files have one.")
                continue
            with console.status(f"Profiling {file}"):
                ops = benchmarking.profile(file, threads=threads, input_size=size)
            console.print(screen.profile_table(f"Ops of {file}", ops))
    except RuntimeError as error:
        fail(str(error), 1)
