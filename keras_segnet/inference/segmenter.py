"""One way to ask any model file for labels: .keras, SavedModel, .tflite or .onnx."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keras_segnet.data.images import resize_image
from keras_segnet.errors import InputError


def resize_maps(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resizes what a network gave for one image, float `(height, width, ...)`, bilinearly to `(height, width)`."""
    if maps.shape[:2] == size:
        return maps
    return cv2.resize(maps, size[::-1], interpolation=cv2.INTER_LINEAR)


class Segmenter:
    """A network that takes images of any size and gives class probabilities at their own resolution.

    Attributes:
        num_classes: number of classes.
        input_size: height and width at which the network works, or None where it takes images as they are.
        head: what the bare network gives: "probabilities", "logits" or "class_map". Logits become probabilities here,
            and a class map becomes probabilities of 0 and 1.
        precision: "float32", "float16" or "int8", or None where a file does not say.
    """

    num_classes: int
    input_size: tuple[int, int] | None
    head: str = "probabilities"
    precision: str | None = None

    def to_input(self, images: np.ndarray) -> np.ndarray:
        """Images as the bare network takes them.

        Args:
            images: uint8 or float RGB 0..255 `(batch, height, width, 3)`.
        """
        return images.astype(np.float32)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        """The bare network: what the head gives for what `to_input` made."""
        raise NotImplementedError

    def run(self, images: np.ndarray) -> np.ndarray:
        """Class probabilities at the network's own size.

        Args:
            images: uint8 or float RGB 0..255 `(batch, height, width, 3)`, of `input_size` where that is not None.

        Returns:
            float32 `(batch, height, width, classes)`.
        """
        output = self.infer(self.to_input(images))
        if self.head == "class_map":
            return np.eye(self.num_classes, dtype=np.float32)[output]
        return output if self.head == "probabilities" else _softmax(output)

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities of one image.

        Args:
            image: uint8 RGB `(height, width, 3)`, of any size. It is resized to the network's input.

        Returns:
            float32 `(height, width, classes)`; the network's output, resized back bilinearly.
        """
        return resize_maps(self.run(self.fit(image)[None])[0], image.shape[:2])

    def fit(self, image: np.ndarray) -> np.ndarray:
        """The image `(height, width, 3)` at the network's input size."""
        return image if self.input_size is None else resize_image(image, self.input_size)

    def probabilities_and_uncertainty(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The same, and float32 `(height, width)`, how uncertain they are, from a segmenter that can tell."""
        return self.probabilities(image), None

    def label(self, image: np.ndarray) -> np.ndarray:
        """The most probable class of each pixel of one image, uint8 `(height, width)`."""
        return self.probabilities(image).argmax(axis=-1).astype(np.uint8)


class KerasSegmenter(Segmenter):
    """A Keras model in this process."""

    def __init__(self, model: Any) -> None:
        self.model = model
        _, height, width, self.num_classes = model.output_shape
        self.input_size = None if None in (height, width) else (height, width)
        self.precision = model.compute_dtype

    def to_input(self, images: np.ndarray) -> np.ndarray:
        return images

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict_on_batch(batch), np.float32)


class SavedModelSegmenter(Segmenter):
    """A TensorFlow SavedModel as `keras_segnet.exporting.to_saved_model` writes it."""

    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        try:
            self._model = tf.saved_model.load(str(path))
            self._signature = self._model.signatures["serving_default"]
            shape = self._signature.structured_outputs["probabilities"].shape
        except Exception as error:  # TensorFlow's loader raises errors of many kinds on damaged folders.
            raise InputError(f"{path} cannot be read as a SavedModel of a segmentation network: {error}") from error
        _, height, width, self.num_classes = shape
        self.input_size = None if None in (height, width) else (height, width)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return self._signature(image=batch)["probabilities"].numpy()


class TFLiteSegmenter(Segmenter):
    """A .tflite file in the stock LiteRT interpreter, on the CPU.

    Takes what `keras_segnet.exporting.to_tflite` writes, in all precisions.
    """

    input_size: tuple[int, int]

    def __init__(self, path: Path, num_threads: int | None = None) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter = Interpreter(str(path), num_threads=num_threads or os.cpu_count())
            self._interpreter.allocate_tensors()
            (self._input,) = self._interpreter.get_input_details()
            (self._output,) = self._interpreter.get_output_details()
            contents = read_contents(path)
            taken, shape = ([int(n) for n in tensor["shape"]] for tensor in (self._input, self._output))
            if len(taken) != 4 or taken[3] != 3 or taken[0] != 1:
                raise ValueError(f"it takes {taken}, not (1, height, width, 3)")
            self.head = contents.get("head", "probabilities")
            if len(shape) != (3 if self.head == "class_map" else 4) or shape[:3] != taken[:3]:
                raise ValueError(f"it takes {taken} and gives {shape}, not a score for each class of each pixel")
            self.precision = contents.get("precision")
            self.num_classes = int(contents["classes"]) if self.head == "class_map" else shape[3]
        except Exception as error:  # The interpreter and the reader of the file raise errors of many kinds.
            raise InputError(f"{path} cannot be read as a .tflite file of a segmentation network: {error}") from error
        self.input_size = (shape[1], shape[2])

    def to_input(self, images: np.ndarray) -> np.ndarray:
        return _quantize(images, self._input)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return np.concatenate([self._infer_one(image[None]) for image in batch])

    def _infer_one(self, image: np.ndarray) -> np.ndarray:
        self._interpreter.set_tensor(self._input["index"], image)
        self._interpreter.invoke()
        output = self._interpreter.get_tensor(self._output["index"])
        return output if self.head == "class_map" else _dequantize(output, self._output)


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
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            (taken,), (given,) = self._session.get_inputs(), self._session.get_outputs()
            contents = json.loads(self._session.get_modelmeta().custom_metadata_map.get(CONTENTS, "{}"))
            batch, height, width, channels = taken.shape
            if channels != 3:
                raise ValueError(f"its input has shape {taken.shape}, not (batch, height, width, 3).")
            self.head = contents.get("head", "probabilities")
            self.precision = contents.get("precision")
            self.num_classes = int(contents["classes"]) if self.head == "class_map" else given.shape[3]
        except Exception as error:  # onnxruntime raises errors of kinds of its own.
            raise InputError(f"{path} cannot be read as an .onnx file of a segmentation network: {error}") from error
        self._input, self._takes_one = taken.name, batch == 1
        self.input_size = (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def infer(self, batch: np.ndarray) -> np.ndarray:
        batches = [image[None] for image in batch] if self._takes_one else [batch]
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


CONTENTS = "keras_segnet"
"""Name under which an exported file says what is in it, as JSON: `head`, number of `classes`, `precision`."""


EXPECTED = "a .keras, .tflite or .onnx file or a SavedModel folder"


def read_contents(path: Path) -> dict[str, Any]:
    """What a .tflite file of `to_tflite` says of itself; empty for others."""
    from ai_edge_litert import schema_py_generated as schema

    file = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    for i in range(file.MetadataLength()):
        if file.Metadata(i).Name().decode() == CONTENTS:
            return dict(json.loads(file.Buffers(file.Metadata(i).Buffer()).DataAsNumpy().tobytes()))
    return {}


def try_tflite(path: Path) -> None:
    """Runs a .tflite file once in another process, because a damaged file may end the one that it runs in.

    That says whether it loads and runs, not that it means well: run files of people you do not trust in a sandbox.

    Raises:
        InputError: it cannot be loaded or run.
    """
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


def _quantize(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    if not scale:
        return values.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(details["dtype"])


def _dequantize(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale) if scale else values.astype(np.float32)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


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
    if not path.exists():
        raise InputError(f"{path} does not exist; {EXPECTED} is expected there.")
    if path.suffix == ".keras":
        return KerasSegmenter(load_keras_model(path))
    if path.suffix == ".tflite":
        try_tflite(path)
        return TFLiteSegmenter(path, num_threads)
    if path.suffix == ".onnx":
        return OnnxSegmenter(path, num_threads)
    if path.is_dir() and (path / "saved_model.pb").is_file():
        return SavedModelSegmenter(path)
    raise InputError(f"{path} is no model: expected is {EXPECTED}.")


def load_keras_model(path: Path) -> Any:
    """Loads a segmentation network from a .keras file, in Keras's safe mode and without its training state.

    Raises:
        InputError: there is no such file, it is no .keras file, or its network does not map images to class maps.
    """
    import keras

    import keras_segnet.layers  # noqa: F401 (registers the layers that the file names)

    if not path.is_file():
        raise InputError(f"{path} does not exist; a .keras file is expected there.")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
        taken, shape = model.input_shape, model.output_shape
    except Exception as error:  # Keras raises errors of many kinds on damaged files.
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"{path} cannot be read as a .keras file: {first_line}") from error
    if not (isinstance(taken, tuple) and len(taken) == 4 and taken[-1] == 3):
        raise InputError(
            f"{path} is no segmentation network: its input has shape {taken}, not (batch, height, width, 3)."
        )
    if not (isinstance(shape, tuple) and len(shape) == 4 and shape[-1]):
        raise InputError(
            f"{path} is no segmentation network: its output has shape {shape}, not (batch, height, width, classes)."
        )
    return model
