"""What a process does that times one model file; see `keras_segnet.benchmarking.latency`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.inference.segmenters import Segmenter, load_segmenter
from keras_segnet.inference.timing import time_runs
from keras_segnet.streets import draw_street_scene

_segmenter: Segmenter
_image: np.ndarray
_memory_before: int


def open_file(path: Path, threads: int, input_size: tuple[int, int]) -> dict[str, Any]:
    """Opens the file of this process, with the threads that it computes with, and says what it is."""
    global _segmenter, _image, _memory_before
    _prepare_runtime(path, threads)
    _memory_before = peak_memory()
    _segmenter = load_segmenter(path, threads)
    size = _segmenter.input_size or input_size
    scene = draw_street_scene(0, size)[0][None]
    _segmenter.run(scene)  # What a SavedModel gives shows in its first answer.
    _image = _segmenter.to_input(scene)
    return {"input_size": size, "head": _segmenter.head, "precision": _segmenter.precision}


def _prepare_runtime(path: Path, threads: int) -> None:
    """Loads what runs a file, so that it does not count as the file's, and tells TensorFlow its threads."""
    if path.suffix == ".tflite":
        import ai_edge_litert.interpreter  # noqa: F401
    elif path.suffix == ".onnx":
        from keras_segnet.inference.segmenters import import_for_onnx

        import_for_onnx("onnxruntime")
    elif keras.backend.backend() != "tensorflow":
        raise InputError(f"{path} is timed under the TensorFlow backend; set KERAS_BACKEND=tensorflow.")
    else:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


def take_turn(runs: int) -> list[float]:
    """Seconds of each of some runs, after one that is not counted."""
    return time_runs(_segmenter, _image, runs)


def memory_taken() -> int:
    """Bytes by which the peak has risen since before the file was opened."""
    return peak_memory() - _memory_before


def peak_memory() -> int:
    """The most bytes that this process has had in memory."""
    if sys.platform == "linux":
        # What getrusage says counts the program from which this one was started, too.
        (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
