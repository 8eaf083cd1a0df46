""".onnx files in onnxruntime."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.data.geometry import Fit
from keras_segnet.errors import InputError
from keras_segnet.files import reading
from keras_segnet.inference.segmenters.base import Segmenter
from keras_segnet.inference.segmenters.contents import CONTENTS, classes_and_size, parse_contents


class OnnxSegmenter(Segmenter):
    """An .onnx file in onnxruntime, on the CPU.

    Accepts what `keras_segnet.exporting.to_onnx` writes, and other files of one input, float32 or uint8 images
    `(batch, height, width, 3)`, and one output. Where the batch is fixed, the last one is filled up.
    """

    def __init__(self, path: Path, num_threads: int | None = None) -> None:
        onnxruntime = import_for_onnx("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or os.cpu_count()
        options.log_severity_level = 4
        with reading(path, "cannot be read as an .onnx file of a segmentation network"):
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            (taken,), (given,) = self._session.get_inputs(), self._session.get_outputs()
            contents = parse_contents(self._session.get_modelmeta().custom_metadata_map.get(CONTENTS, "{}"))
            self.fit = Fit.recorded(contents) if contents else None
            self.num_classes, self.input_size = classes_and_size(taken.shape, given.shape, contents)
            if taken.type not in DTYPES:
                raise ValueError(f"its input is a {taken.type}, not one of {', '.join(DTYPES)}")
        self.head, self.precision = contents.get("head"), contents.get("precision")
        self._path, self._input, self._dtype = path, taken.name, DTYPES[taken.type]
        self._fixed_batch = taken.shape[0] if isinstance(taken.shape[0], int) else None

    def to_input(self, images: np.ndarray) -> np.ndarray:
        return images.astype(self._dtype)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        size = self._fixed_batch or len(batch)
        missing = -len(batch) % size
        filled = np.concatenate([batch, np.repeat(batch[-1:], missing, axis=0)]) if missing else batch
        with reading(self._path, "cannot be run as the .onnx file of a segmentation network"):
            outputs = [
                self._session.run(None, {self._input: filled[first : first + size]})[0]
                for first in range(0, len(filled), size)
            ]
        output: np.ndarray = np.concatenate(outputs)[: len(batch)]
        return output if self.head == "class_map" else output.astype(np.float32)


DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
"""Dtypes of inputs, by onnxruntime's names."""


def import_for_onnx(package: str) -> Any:
    """Imports a package of the extra `onnx`.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(
            f".onnx files need {package}, which cannot be imported ({error}); pip install keras-segnet[onnx]"
        ) from error
