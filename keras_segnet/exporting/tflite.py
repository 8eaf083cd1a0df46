"""Export to LiteRT (.tflite): builtin ops only, one image, a static size."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.data.statistics import Progress, silent
from keras_segnet.errors import InputError
from keras_segnet.exporting.parity import ParityReport, export_through_gate, street_images
from keras_segnet.inference.segmenter import KerasSegmenter, TFLiteSegmenter
from keras_segnet.layers import portable_indices


def to_tflite(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    input_size: tuple[int, int] | None = None,
    images: Sequence[np.ndarray] | None = None,
    progress: Progress = silent,
) -> ParityReport:
    """Exports a network as a float32 .tflite file, and proves it.

    The file takes one image, float32 RGB 0..255 `(1, height, width, 3)` named `image`, and gives float32
    `(1, height, width, classes)`. It holds builtin ops only: the pooling indices are places in the window, made from
    comparisons and selections.

    Args:
        model: a network of this library, under the TensorFlow backend.
        path: of the file to write; nothing may be there.
        input_size: height and width. Default: the model's, where it has fixed ones.
        images: uint8 RGB images to compare on. Default: four drawn streets.
        progress: shows how far the comparison is.

    Returns:
        The comparison with the Keras model.

    Raises:
        InputError: the model's size is not known, something is at `path` already, or its folder does not exist.
        ParityError: less than 99.9 % of the pixels get the Keras model's label. No file is left then.
        RuntimeError: the backend is not TensorFlow.
    """
    require_tensorflow()
    size = input_size or KerasSegmenter(model).input_size
    if size is None:
        raise InputError(f"the model {model.name} takes images of any size; a .tflite file needs one: give input_size.")

    def write(partial: Path) -> None:
        partial.write_bytes(_convert(model, size))

    return export_through_gate(
        path,
        write,
        KerasSegmenter(model),
        TFLiteSegmenter,
        list_ops,
        street_images(size) if images is None else images,
        progress,
    )


def _convert(model: keras.Model, size: tuple[int, int]) -> bytes:
    import tensorflow as tf

    # As constants, so that the converter folds batch normalisation into the convolutions.
    weights = [[tf.constant(variable.numpy()) for variable in variables]
               for variables in (model.trainable_variables, model.non_trainable_variables)]  # fmt: skip

    @tf.function(input_signature=[tf.TensorSpec((1, *size, 3), tf.float32, name="image")], autograph=False)
    def probabilities(image: Any) -> Any:
        with portable_indices():
            return {"probabilities": model.stateless_call(*weights, image, training=False)[0]}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([probabilities.get_concrete_function()], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return bytes(converter.convert())


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
