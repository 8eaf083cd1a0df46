"""Time and memory of model files side by side, each in a process of its own, in turns."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.benchmarking import worker
from keras_segnet.benchmarking.arena import arena_size
from keras_segnet.catalogue import refuse_missing_model
from keras_segnet.errors import InputError
from keras_segnet.progress import Progress, silent

ROUNDS = 5
"""Number of rounds in which files take turns: a machine that gets slower or faster meanwhile does so for all."""


@dataclass(frozen=True)
class Benchmark:
    """The cost of one image with a model file, on this machine's CPU.

    Attributes:
        path: of the file or folder.
        input_size: height and width of the image.
        head: what came out: "probabilities", "logits" or "class_map".
        precision: "float32", "float16", "int8" or "int16x8", or None where the file does not say.
        seconds: of each run, from the image as the file takes it to what its head gives.
        memory: bytes by which the memory of a process grew, at its peak, from before the file was opened to after the
            runs: weights, maps, and what the runtime keeps besides.
        arena: of a .tflite file, see `arena_size`; None for others, and where it cannot be planned.
        size: bytes on disk.
    """

    path: Path
    input_size: tuple[int, int]
    head: str
    precision: str | None
    seconds: tuple[float, ...]
    memory: int
    arena: int | None
    size: int

    @property
    def median(self) -> float:
        """Seconds that half of the runs took at most."""
        return float(np.median(self.seconds))

    @property
    def p95(self) -> float:
        """Seconds that 95 % of the runs took at most."""
        return float(np.percentile(self.seconds, 95))


def benchmark(
    paths: Sequence[str | os.PathLike[str]],
    *,
    runs: int = 50,
    threads: int | None = None,
    input_size: tuple[int, int] = (360, 480),
    progress: Progress = silent,
) -> list[Benchmark]:
    """Times model files for one image, a drawn street.

    Each file is opened in a process of its own, which has `threads` threads to compute with. The processes take turns
    in five rounds; the first run of each turn is to warm up and is not counted. A script that calls this has its own
    work behind `if __name__ == "__main__":`, since a new process reads it too.

    Args:
        paths: .tflite, .onnx and .keras files and SavedModel folders.
        runs: of each file that are counted.
        threads: that compute. Default: one for each core.
        input_size: height and width of the image for files that take any. Default: the paper's.
        progress: shows how far the turns are.

    Raises:
        InputError: a file cannot be read as a model, or `runs` or `threads` is not positive.
        RuntimeError: a process ended before it answered.
    """
    for name, value in (("runs", runs), ("threads", threads)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be a positive whole number, not {value}.")
    files = [Path(path) for path in paths]
    for file in files:
        refuse_missing_model(file)
    with ExitStack() as stack:
        # Not forked: TensorFlow's threads would not come along.
        context = multiprocessing.get_context("spawn")
        processes = [stack.enter_context(ProcessPoolExecutor(1, mp_context=context)) for _ in files]
        openings = [
            process.submit(worker.open_file, file, threads or os.cpu_count() or 1, input_size)
            for process, file in zip(processes, files, strict=True)
        ]
        about = [_answer(opening, file) for opening, file in zip(openings, files, strict=True)]
        seconds: list[list[float]] = [[] for _ in files]
        shares = [len(share) for share in np.array_split(np.arange(runs), min(ROUNDS, runs))]
        turns = [(share, number) for share in shares for number in range(len(files))]
        for share, number in progress(turns, len(turns), "Taking turns"):
            seconds[number] += _answer(processes[number].submit(worker.take_turn, share), files[number])
        memory = [
            _answer(process.submit(worker.memory_taken), file) for process, file in zip(processes, files, strict=True)
        ]
    return [
        Benchmark(
            path=file,
            **described,
            seconds=tuple(times),
            memory=taken,
            arena=_arena(file),
            size=sum(part.stat().st_size for part in (file, *file.rglob("*")) if part.is_file()),
        )
        for file, described, times, taken in zip(files, about, seconds, memory, strict=True)
    ]


def _answer(future: Future[Any], file: Path) -> Any:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RuntimeError(f"{file}: the process that ran it ended before it answered.") from error


def _arena(file: Path) -> int | None:
    if file.suffix != ".tflite":
        return None
    try:
        return arena_size(file)
    except InputError:
        return None
