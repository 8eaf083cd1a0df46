""".onnx files in onnxruntime."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.files import reading
from keras_segnet.inference.segmenters.base import Segmenter
from keras_segnet.inference.segmenters.contents import CONTENTS


class OnnxSegmenter(Segmenter):
    """An .onnx file in onnxruntime, on the CPU.

    Takes what `keras_segnet.exporting.to_onnx` writes: float32 images `(batch, height, width, 3)`, one at a time or any
    number of them.
    """

    def __init__(self, path: Path, num_threads: int | None = None) -> None:
        onnxruntime = import_for_onnx("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads or os.cpu_count()
        options.log_severity_level = 4
        with reading(path, "cannot be read as an .onnx file of a segmentation network"):
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            (taken,), (given,) = self._session.get_inputs(), self._session.get_outputs()
            contents = json.loads(self._session.get_modelmeta().custom_metadata_map.get(CONTENTS, "{}"))
            batch, height, width, channels = taken.shape
            if channels != 3:
                raise ValueError(f"its input has shape {taken.shape}, not (batch, height, width, 3).")
            self.head = contents.get("head")
            self.precision = contents.get("precision")
            self.num_classes = int(contents["classes"]) if self.head == "class_map" else given.shape[3]
        self._path, self._input, self._takes_one = path, taken.name, batch == 1
        self.input_size = (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def infer(self, batch: np.ndarray) -> np.ndarray:
        batches = [image[None] for image in batch] if self._takes_one else [batch]
        with reading(self._path, "cannot be run as the .onnx file of a segmentation network"):
            return np.concatenate([self._session.run(None, {self._input: images})[0] for images in batches])


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
