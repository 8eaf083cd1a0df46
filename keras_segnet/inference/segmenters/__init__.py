"""One way to ask any model file for labels: .keras, SavedModel, .tflite or .onnx."""

from __future__ import annotations

import os
from pathlib import Path

from keras_segnet.catalogue import ANY_MODEL, is_trained_network, refuse_missing_model
from keras_segnet.errors import InputError
from keras_segnet.inference.segmenters.base import Prediction, Segmenter, resize_maps
from keras_segnet.inference.segmenters.contents import CONTENTS, read_contents
from keras_segnet.inference.segmenters.keras import KerasSegmenter, load_keras_model
from keras_segnet.inference.segmenters.onnx import OnnxSegmenter, import_for_onnx
from keras_segnet.inference.segmenters.saved_model import SavedModelSegmenter
from keras_segnet.inference.segmenters.tflite import TFLiteSegmenter, open_tflite


def load_segmenter(path: str | os.PathLike[str], num_threads: int | None = None) -> Segmenter:
    """Opens a model file: `.keras`, `.tflite`, `.onnx`, or the folder of a SavedModel.

    Args:
        path: of the file or folder.
        num_threads: that a .tflite or .onnx file runs on. Default: one for each core. TensorFlow, which runs the
            others, has one setting for the whole process.

    Raises:
        InputError: there is nothing at `path`, or it is none of these, or it is an .onnx file and onnxruntime is not
            installed.
    """
    path = Path(path)
    refuse_missing_model(path)
    if path.suffix == ".keras" or is_trained_network(path):
        return KerasSegmenter(load_keras_model(path))
    if path.suffix == ".tflite":
        return open_tflite(path, num_threads)
    if path.suffix == ".onnx":
        return OnnxSegmenter(path, num_threads)
    if path.is_dir() and (path / "saved_model.pb").is_file():
        return SavedModelSegmenter(path)
    raise InputError(f"{path} is no model: expected is {ANY_MODEL}.")


__all__ = [
    "CONTENTS",
    "KerasSegmenter",
    "OnnxSegmenter",
    "Prediction",
    "SavedModelSegmenter",
    "Segmenter",
    "TFLiteSegmenter",
    "import_for_onnx",
    "load_keras_model",
    "load_segmenter",
    "open_tflite",
    "read_contents",
    "resize_maps",
]
