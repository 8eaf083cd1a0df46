"""The ops that a file's time goes into, by the runtimes' own profilers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_segnet._compat import LITERT_PROFILER, require_litert_of_the_profiler
from keras_segnet.errors import InputError
from keras_segnet.inference.segmenters import OnnxSegmenter, load_segmenter
from keras_segnet.streets import draw_street_scene

Run = Sequence[tuple[str, float]]
"""The name of each op that ran, and its microseconds."""


@dataclass(frozen=True)
class OpTime:
    """All ops of one kind in a run.

    Attributes:
        op: as the runtime calls it once it has laid the graph out for itself: an op of the file, or a kernel of XNNPACK
            or onnxruntime that does the work of several.
        count: how many there are.
        seconds: that they take together, on average over the runs.
        share: of the time of all ops, 0..1.
    """

    op: str
    count: int
    seconds: float
    share: float


def profile(
    path: str | os.PathLike[str],
    *,
    runs: int = 20,
    threads: int | None = None,
    input_size: tuple[int, int] = (360, 480),
) -> list[OpTime]:
    """Where the time of a .tflite or .onnx file goes, the most expensive kind of op first.

    The runtime itself takes the times, for one image, a drawn street: LiteRT with XNNPACK, or onnxruntime on the CPU.
    A first run is not counted.

    Args:
        path: of the file.
        runs: that are counted.
        threads: that compute. Default: one for each core.
        input_size: height and width of the image for an .onnx file that takes any. Default: the paper's.

    Raises:
        InputError: it is neither of these, `runs` or `threads` is not positive, or ai-edge-litert is a release whose
            profiler this library does not know.
        RuntimeError: LiteRT's profiler, which lies beyond its Python interface, did not answer.
    """
    for name, value in (("runs", runs), ("threads", threads)):
        if value is not None and value < 1:
            raise InputError(f"{name} must be a positive whole number, not {value}.")
    path, threads = Path(path), threads or os.cpu_count() or 1
    if path.suffix not in (".tflite", ".onnx"):
        raise InputError(f"{path} has no profile; only .tflite and .onnx files have one.")
    segmenter = load_segmenter(path, threads)
    image = segmenter.to_input(draw_street_scene(0, segmenter.input_size or input_size)[0][None])
    with tempfile.TemporaryDirectory() as folder:
        ask = _onnxruntime_times if isinstance(segmenter, OnnxSegmenter) else _litert_times
        return _by_kind(ask(path, image, runs, threads, Path(folder)))


def _by_kind(times: Sequence[Run]) -> list[OpTime]:
    count: dict[str, int] = defaultdict(int)
    microseconds: dict[str, float] = defaultdict(float)
    for run in times:
        for op, duration in run:
            count[op] += 1
            microseconds[op] += duration
    total = sum(microseconds.values())
    return [
        OpTime(op, count[op] // len(times), 1e-6 * spent / len(times), spent / total if total else 0.0)
        for op, spent in sorted(microseconds.items(), key=lambda item: -item[1])
    ]


def _litert_times(path: Path, image: np.ndarray, runs: int, threads: int, folder: Path) -> list[Run]:
    require_litert_of_the_profiler()
    np.save(folder / "image.npy", image)
    done = subprocess.run(
        [sys.executable, LITERT_PROFILER, path.resolve(), folder / "image.npy", str(runs), str(threads)],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    if done.returncode != 0:
        last_words = " ".join(done.stderr.split())[-300:]
        raise RuntimeError(f"{path}: LiteRT's profiler ended with status {done.returncode}. {last_words}")
    times: list[Run] = json.loads(done.stdout.splitlines()[-1])
    return times


def _onnxruntime_times(path: Path, image: np.ndarray, runs: int, threads: int, folder: Path) -> list[Run]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    for _ in range(runs + 1):
        session.run(None, {session.get_inputs()[0].name: image})
    events = json.loads(Path(session.end_profiling()).read_text())
    ends = sorted(event["ts"] + event["dur"] for event in events if event["name"] == "model_run")
    times: list[list[tuple[str, float]]] = [[] for _ in ends]
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            times[int(np.searchsorted(ends, event["ts"]))].append((event["args"]["op_name"], event["dur"]))
    return list(times[1:])
