""".tflite files in the LiteRT interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.data.geometry import Fit
from keras_segnet.errors import InputError
from keras_segnet.files import reading
from keras_segnet.inference.segmenters.base import Segmenter
from keras_segnet.inference.segmenters.contents import classes_and_size, read_contents


class TFLiteSegmenter(Segmenter):
    """A .tflite file in the stock LiteRT interpreter, on the CPU.

    Takes what `keras_segnet.exporting.to_tflite` writes, in all precisions.
    """

    input_size: tuple[int, int]

    def __init__(self, path: Path, num_threads: int | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with reading(path, "cannot be read as a .tflite file of a segmentation network"):
            self._interpreter = Interpreter(str(path), num_threads=num_threads or os.cpu_count())
            self._interpreter.allocate_tensors()
            (self._input,) = self._interpreter.get_input_details()
            (self._output,) = self._interpreter.get_output_details()
            contents = read_contents(path)
            fit = Fit.recorded(contents) if contents else None
            taken, given = ([int(n) for n in tensor["shape"]] for tensor in (self._input, self._output))
            if taken[0] != 1:
                raise ValueError(f"its input has shape {tuple(taken)}, not (1, height, width, 3)")
            self.num_classes, size = classes_and_size(taken, given, contents)
            assert size is not None  # An interpreter has all sizes.
        self.head, self.precision, self.input_size = contents.get("head"), contents.get("precision"), size
        self.fit = fit

    def to_input(self, images: np.ndarray) -> np.ndarray:
        return quantize(images, self._input)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return np.concatenate([self._infer_one(image[None]) for image in batch])

    def _infer_one(self, image: np.ndarray) -> np.ndarray:
        self._interpreter.set_tensor(self._input["index"], image)
        self._interpreter.invoke()
        output = self._interpreter.get_tensor(self._output["index"])
        return output if self.head == "class_map" else dequantize(output, self._output)


def open_tflite(path: Path, num_threads: int | None = None) -> TFLiteSegmenter:
    """Opens a .tflite file after it has run once in another process.

    A damaged file may end the process that it runs in. The test run says whether the file loads and runs, not that it
    means well: run files of people you do not trust in a sandbox.

    Raises:
        InputError: it cannot be loaded or run, or is no segmentation network.
    """
    _try(path)
    return TFLiteSegmenter(path, num_threads)


def _try(path: Path) -> None:
    try:
        trial = subprocess.run(
            [sys.executable, "-P", TRIAL, path],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TRIAL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{path} gives no answer within {TRIAL_SECONDS} s as a .tflite file.") from None
    if trial.returncode < 0:
        raise InputError(
            f"{path} cannot be read as a .tflite file: LiteRT ends with {signal.Signals(-trial.returncode).name} on it."
        )
    if trial.returncode:
        last_words = trial.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise InputError(f"{path} cannot be read as a .tflite file: {' '.join(last_words)}")


TRIAL = Path(__file__).with_name("tflite_trial.py")
TRIAL_SECONDS = 120


def quantize(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Values as a tensor of the interpreter takes them; `details` are what it says of the tensor."""
    scale, zero_point = details["quantization"]
    if not scale:
        return values.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(details["dtype"])


def dequantize(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale) if scale else values.astype(np.float32)
