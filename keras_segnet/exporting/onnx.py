"""Export to ONNX, which TensorRT on a Jetson and onnxruntime take."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.data.geometry import Fit
from keras_segnet.exporting.heads import head as head_of
from keras_segnet.exporting.network import in_float32, require_tensorflow, size_of
from keras_segnet.exporting.onnx_file import OnnxFile
from keras_segnet.exporting.parity import ParityReport
from keras_segnet.exporting.tracing import trace
from keras_segnet.exporting.writing import check_path, export_through_gate
from keras_segnet.inference.segmenters import CONTENTS, KerasSegmenter, import_for_onnx
from keras_segnet.progress import Progress, silent

OPSET = 17
"""Newest opset that TensorRT 8.6 accepts; TensorRT 10 accepts 9 to 20 (docs/operators.md of onnx/onnx-tensorrt)."""


def to_onnx(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    head: str = "probabilities",
    input_size: tuple[int, int] | None = None,
    dynamic_batch: bool = False,
    images: Sequence[np.ndarray] | None = None,
    fit: Fit | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ParityReport:
    """Exports a network as an .onnx file, and proves it.

    The file takes images named `image`, float32 RGB 0..255 `(batch, height, width, 3)`, as a .tflite file does, and
    works channels first inside. It is of opset 17 and holds float32 only, but for comparisons, the sizes of slices and
    pads, and a class map; all of its ops are in the lists of TensorRT 8.6 and 10. TensorRT makes it float16 or int8
    when it builds its engine (`trtexec --fp16`).

    Args:
        model: a network of this library, under the TensorFlow backend.
        path: of the file to write, `.onnx`.
        head: what comes out, under this name. `"probabilities"` (default) or `"logits"`, float32
            `(batch, height, width, classes)`, or `"class_map"`, int32 `(batch, height, width)`.
        input_size: height and width. Default: the model's, where it has fixed ones.
        dynamic_batch: whether the file takes any number of images at once; TensorRT wants to be told their least, usual
            and largest number then. Default False: one image, for which an engine can be built with no such word.
        images: uint8 RGB images whose labels the report compares. Default: drawn streets.
        fit: the rule by which images become inputs, which the file tells those who run it. Default: it tells none, and
            they stretch images.
        overwrite: whether a file that is there may be replaced. Default False.
        progress: shows how far the comparison is.

    Returns:
        The comparison with the Keras model.

    Raises:
        InputError: an argument is none of these, the model's size is not known, `path` is not one to
            write to, or a package of the extra `onnx` is not installed.
        ParityError: the file is not the model's, see `check_parity`. Nothing is written then.
        RuntimeError: the backend is not TensorFlow.
    """
    require_tensorflow()
    for package in ("onnx", "onnxruntime", "tf2onnx"):
        import_for_onnx(package)
    finish = head_of(head)
    target = check_path(path, ".onnx", overwrite)
    model = in_float32(model)
    reference = KerasSegmenter(model)
    size = size_of(model, input_size, "an .onnx file")

    def write(partial: Path) -> None:
        converted = _convert(model, (None if dynamic_batch else 1, *size, 3), head, finish)
        contents: dict[str, Any] = {"head": head, "classes": reference.num_classes, "precision": "float32"}
        if fit is not None:
            contents |= fit.record()
        partial.write_bytes(_finished(converted, contents).SerializeToString())

    return export_through_gate(target, write, model, OnnxFile, images, progress)


def _convert(
    model: keras.Model, shape: tuple[int | None, int, int, int], head: str, finish: Callable[[Any], Any]
) -> Any:
    import tf2onnx

    from keras_segnet.exporting.onnx_graph import tidy

    function = trace(model, shape, head, finish)
    taken, given = function.inputs[0].name, function.outputs[0].name
    converted, _ = tf2onnx.convert.from_graph_def(
        _with_captured_constants(function.graph),
        name=model.name,
        input_names=[taken],
        output_names=[given],
        opset=OPSET,
        custom_op_handlers={"SelectV2": (_to_where, [])},
        tensors_to_rename={taken: "image", given: head},
    )
    return tidy(converted, {layer.name for layer in model.layers})


def _with_captured_constants(graph: Any) -> Any:
    """The definition of a function's graph, with constants in place of the eager tensors that it takes from outside."""
    import tensorflow as tf

    definition = graph.as_graph_def()
    nodes = {node.name: node for node in definition.node}
    for outer, inner in graph.captures:
        node = nodes[inner.op.name]
        node.Clear()
        node.name, node.op = inner.op.name, "Const"
        node.attr["dtype"].type = inner.dtype.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(outer.numpy()))
    return definition


def _to_where(context: Any, node: Any, name: str, arguments: Any) -> None:
    """Takes the op that it is, where tf2onnx would multiply by 0 and 1: that makes NaN of infinity times 0."""
    node.type, node.domain = "Where", ""


def _finished(model: Any, contents: dict[str, Any]) -> Any:
    """The model with its batch named, checked, and with a word on what is in it; see `OnnxSegmenter`."""
    import onnx

    for value in (*model.graph.input, *model.graph.output):
        batch = value.type.tensor_type.shape.dim[0]
        if not batch.dim_value:
            batch.dim_param = "batch"
    model.producer_name = "keras_segnet"
    onnx.helper.set_model_props(model, {CONTENTS: json.dumps(contents)})
    onnx.checker.check_model(model, full_check=True)
    return model
