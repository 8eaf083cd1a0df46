"""Export to LiteRT (.tflite): builtin ops only, one image, a static size, in three precisions."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.data.images import resize_image
from keras_segnet.data.statistics import Progress, silent
from keras_segnet.errors import InputError
from keras_segnet.exporting.heads import head as head_of
from keras_segnet.exporting.parity import ParityReport, export_through_gate, street_images
from keras_segnet.exporting.tracing import trace
from keras_segnet.inference.segmenter import CONTENTS, KerasSegmenter, TFLiteSegmenter
from keras_segnet.layers import MaxPoolingWithArgmax2D

LEAST_AGREEMENT = {"float32": 0.999, "float16": 0.995, "int8": 0.95}
"""Precisions, and the share of pixels that must get the Keras model's label in each.

Rounding turns the label of a pixel whose two best classes are nearly equal, and moves maxima whose windows hold nearly
equal values.
"""

INTERFACES = ("float32", "int8", "uint8")


def to_tflite(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    precision: str = "float32",
    head: str = "probabilities",
    representative_data: Sequence[np.ndarray] | None = None,
    interface: str = "float32",
    input_size: tuple[int, int] | None = None,
    images: Sequence[np.ndarray] | None = None,
    progress: Progress = silent,
) -> ParityReport:
    """Exports a network as a .tflite file, and proves it.

    The file takes one image named `image`, RGB 0..255 `(1, height, width, 3)`, and holds builtin ops only: the pooling
    indices are places in the window, made from portable ops.

    Args:
        model: a network of this library, under the TensorFlow backend.
        path: of the file to write; nothing may be there.
        precision: `"float32"` (default); `"float16"`: weights of half the size, which GPUs also compute with;
            `"int8"`: weights and activations of eight bits, the fastest on CPUs and NPUs. What has no int8 kernel
            stays float32 inside: of the networks here, the powers of `preprocessing="lrn"`.
        head: what comes out. `"probabilities"` (default) or `"logits"`, float32 `(1, height, width, classes)`, or
            `"class_map"`, int32 `(1, height, width)`.
        representative_data: uint8 RGB images of any size, for int8 only, and needed there: the ranges of all
            activations are taken from what the network makes of them. A hundred from the training set are plenty.
        interface: dtype of the file's input and of scores that come out of it, for int8: `"float32"` (default),
            `"int8"` or `"uint8"`. The others have float32.
        input_size: height and width. Default: the model's, where it has fixed ones.
        images: uint8 RGB images to compare on. Default: four drawn streets.
        progress: shows how far calibration and comparison are.

    Returns:
        The comparison with the Keras model.

    Raises:
        InputError: an argument is none of these, the model's size is not known, something is at `path` already, or its
            folder does not exist.
        ParityError: fewer pixels than `LEAST_AGREEMENT` asks for get the Keras model's label. No file is left then.
        RuntimeError: the backend is not TensorFlow.
    """
    require_tensorflow()
    if precision not in LEAST_AGREEMENT:
        raise InputError(f"precision must be one of {', '.join(LEAST_AGREEMENT)}; not {precision!r}.")
    if interface not in INTERFACES:
        raise InputError(f"interface must be one of {', '.join(INTERFACES)}; not {interface!r}.")
    if interface != "float32" and precision != "int8":
        raise InputError(f"interface {interface!r} goes with precision 'int8'; with {precision!r} it is 'float32'.")
    if precision == "int8" and (representative_data is None or len(representative_data) == 0):
        raise InputError("precision 'int8' needs representative_data: images that activations are measured on.")
    finish = head_of(head)
    reference = KerasSegmenter(model)
    size = input_size or reference.input_size
    if size is None:
        raise InputError(f"the model {model.name} takes images of any size; a .tflite file needs one: give input_size.")

    def write(partial: Path) -> None:
        steps = None
        if precision == "int8":
            steps = _int8_steps_of_pooling(model, representative_data or [], size, progress)
        converter = _converter(model, size, head, finish, steps)
        if precision == "float16":
            import tensorflow as tf

            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            _quantize(converter, representative_data or [], size, interface, progress)
        contents = {"head": head, "classes": reference.num_classes, "precision": precision}
        partial.write_bytes(_with_contents(bytes(converter.convert()), contents))

    return export_through_gate(
        path,
        write,
        reference,
        TFLiteSegmenter,
        list_ops,
        street_images(size) if images is None else images,
        LEAST_AGREEMENT[precision],
        progress,
    )


def _converter(
    model: keras.Model, size: tuple[int, int], head: str, finish: Any, int8_steps: Mapping[str, float] | None
) -> Any:
    import tensorflow as tf

    function = trace(model, (1, *size, 3), head, finish, int8_steps)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


def _int8_steps_of_pooling(
    model: keras.Model, images: Sequence[np.ndarray], size: tuple[int, int], progress: Progress
) -> dict[str, float]:
    """The difference of neighbouring int8 values in the input of each pooling layer, for those that can use it.

    These are the layers whose input is never negative and whose windows never hang over the start of the map.
    """
    layers = [
        layer
        for layer in model.layers
        if isinstance(layer, MaxPoolingWithArgmax2D) and (max(layer.pool_size) <= 2 or layer.padding == "valid")
    ]
    if not layers:
        return {}
    ranges = keras.Model(
        model.input, [[keras.ops.min(layer.input), keras.ops.max(layer.input)] for layer in layers], name="ranges"
    )
    found = [
        ranges.predict_on_batch(resize_image(image, size)[None].astype(np.float32))
        for image in progress(images, len(images), "Measuring")
    ]
    lowest, highest = np.min(found, axis=0)[:, 0], np.max(found, axis=0)[:, 1]
    return {
        # The converter divides the range from 0 to the largest value into 255 steps.
        layer.name: float(high) / 255
        for layer, low, high in zip(layers, lowest, highest, strict=True)
        if low >= 0 and high > 0
    }


def _quantize(
    converter: Any, images: Sequence[np.ndarray], size: tuple[int, int], interface: str, progress: Progress
) -> None:
    """Has the converter make weights and activations int8, by the ranges that images give."""
    import tensorflow as tf

    def calibration() -> Iterator[list[np.ndarray]]:
        for image in progress(images, len(images), "Calibrating"):
            yield [resize_image(image, size)[None].astype(np.float32)]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, interface)


def _with_contents(content: bytes, contents: dict[str, Any]) -> bytes:
    """A .tflite file that says what is in it; see `keras_segnet.inference.segmenter.read_contents`."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(contents).encode(), np.uint8)
    entry.name, entry.buffer = CONTENTS, len(file.buffers)
    file.buffers.append(buffer)
    file.metadata = [*(file.metadata or []), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def list_ops(path: Path) -> dict[str, int]:
    """How often each op occurs in a .tflite file, most frequent first; a custom op by its own name."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    ops: Counter[str] = Counter()
    for subgraph in file.subgraphs:
        for operator in subgraph.operators:
            kind = file.operatorCodes[operator.opcodeIndex]
            code = max(kind.builtinCode, kind.deprecatedBuiltinCode)
            ops[kind.customCode.decode() if kind.customCode else names[code]] += 1
    return dict(ops.most_common())


def require_tensorflow() -> None:
    """Raises a RuntimeError unless Keras runs on TensorFlow, the backend that exports."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"exporting needs the TensorFlow backend, and Keras runs on {keras.backend.backend()}; "
            "set KERAS_BACKEND=tensorflow."
        )
