"""One way to ask any model file for labels: .keras, SavedModel, .tflite or .onnx."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from keras_segnet.catalogue import ANY_MODEL, is_trained_network, refuse_missing_model
from keras_segnet.data.geometry import AUTO, Fit
from keras_segnet.errors import InputError
from keras_segnet.inference.segmenters.base import Labelled, Prediction, Segmenter, blend
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
    segmenter = _open(path, num_threads)
    if segmenter.fit is None:
        segmenter.fit = fit_beside(path)
    return segmenter


def fit_beside(path: Path) -> Fit | None:
    """The rule by which images become inputs that is written beside a model, in the config.json of its run.

    `auto` for the name of a network that comes with the package; None where there is neither.
    """
    if is_trained_network(path):
        return AUTO
    with contextlib.suppress(OSError, ValueError, RecursionError):
        config = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
        if isinstance(config, dict) and "input_size" in config:  # Others have a config.json too.
            return Fit.recorded(config)
    return None


def _open(path: Path, num_threads: int | None) -> Segmenter:
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
    "Labelled",
    "OnnxSegmenter",
    "Prediction",
    "SavedModelSegmenter",
    "Segmenter",
    "TFLiteSegmenter",
    "blend",
    "fit_beside",
    "import_for_onnx",
    "load_keras_model",
    "load_segmenter",
    "open_tflite",
    "read_contents",
]
