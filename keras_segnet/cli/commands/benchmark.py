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
    files: Annotated[list[Path], typer.Argument(help="Files to time: .tflite, .onnx, .keras, or SavedModel folders.")],
    runs: Annotated[int, typer.Option(min=1, help="Time this many runs of each file, after a warm-up.")] = 50,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Compute with this many threads. [default: one for each core]")
    ] = None,
    input_size: Annotated[
        str, typer.Option(metavar="HEIGHTxWIDTH", help="Run files of open input size at this size, in pixels.")
    ] = "360x480",
    profile: Annotated[
        bool, typer.Option("--profile", help="Show how much time each kind of op takes, in .tflite and .onnx files.")
    ] = False,
) -> None:
    """Time model files side by side on the CPU, for one image.

    Each file runs in its own process; the files take turns, and warm-up runs are not counted. Memory is the peak of
    the process, less what it used before it opened the file. The arena, for .tflite files, is the part that holds the
    network's feature maps.

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
