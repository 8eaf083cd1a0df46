"""Files of integers: the ranges of activations, and the conversion that uses them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import flatbuffers
import keras
import numpy as np

from keras_segnet import _compat
from keras_segnet.data.images import resize_image
from keras_segnet.errors import InputError
from keras_segnet.exporting.layerwise import layers_named
from keras_segnet.layers import MaxPoolingWithArgmax2D
from keras_segnet.progress import Progress, silent

ACTIVATIONS = {"int8": "int8", "int16x8": "int16"}
"""Dtype of a file's activations, by precision; weights are int8 in each."""

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")


def convert_to_integers(
    converter: Any,
    images: Sequence[np.ndarray],
    size: tuple[int, int],
    precision: str,
    interface: str,
    keep_float: Collection[str],
    progress: Progress,
) -> bytes:
    """A .tflite file with weights of eight bits and activations of eight or sixteen.

    With sixteen only convolutions compute in integers, and what lies between them in float32: TensorFlow's quantiser
    gives constants eight bits, and no kernel adds or multiplies those with sixteen.

    TensorFlow's own calibration reads a tensor after the op that consumes it, and an elementwise op may have written
    its result over it by then: the mask of a place in the pooling window, 0 or 6, gets the range of the values that it
    masks, and rounds to nothing where these are large. So the ranges are measured here, with every tensor kept.

    Args:
        converter: of the network in float32.
        images: uint8 RGB images of any size, on which the ranges are measured.
        size: height and width of the network's input.
        precision: one of `ACTIVATIONS`.
        interface: dtype of the file's input and of scores that come out of it.
        keep_float: names of layers that stay float32.
        progress: shows how far the measuring is.

    Raises:
        InputError: the file has no op of a layer in `keep_float`.
    """
    import tensorflow as tf

    def one() -> Iterator[list[np.ndarray]]:
        yield [next(_measured_on(images[:1], size, silent, ""))]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = one
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    calibrated = _compat.calibrated(converter)
    ops = _ops(calibrated, keep_float)
    if missing := sorted({*keep_float}.difference(*(op.layers for op in ops))):
        raise InputError(f"`keep_float` {missing[0]} does not compute by itself in a .tflite file; name a convolution.")
    kept = [op for op in ops if op.layers or (precision == "int16x8" and op.kind not in CONVOLUTIONS)]
    # What a head makes of floats should not be of integers again.
    given = {tensor for op in kept for tensor in op.outputs}
    kept += [op for op in ops if op.kind in ("ARG_MAX", "SOFTMAX") and given.intersection(op.inputs)]
    # Where only floats pass, there may be no range: padding holds the lowest float.
    needed = {tensor for op in ops if op not in kept for tensor in op.inputs | op.outputs}
    ranges = _ranges(calibrated, _measured_on(images, size, progress, "Calibrating"))
    content = _compat.quantized(
        _with_ranges(calibrated, {tensor: ranges[tensor] for tensor in needed & ranges.keys()}),
        ACTIVATIONS[precision],
        interface,
        {op.name for op in kept},
    )
    return _for_kernels_of_16x8(content) if precision == "int16x8" else content


class _Op(NamedTuple):
    """An op of a .tflite model: its kind, the name that TensorFlow knows it by, its tensors, and whose it is."""

    kind: str
    name: str
    inputs: frozenset[int]
    outputs: frozenset[int]
    layers: frozenset[str]


def _ops(model: bytes, layers: Collection[str]) -> list[_Op]:
    """The ops of a .tflite model; of their layers, those in `layers`."""
    file = _parsed(model)
    (graph,) = file.subgraphs
    kinds = {number: name for name, number in vars(_compat.litert_schema().BuiltinOperator).items()}
    found = []
    for operator in graph.operators:
        code = file.operatorCodes[operator.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        name = graph.tensors[operator.outputs[0]].name.decode()
        # The last op of the file has the output's name. Kernels have that of their convolution in any case.
        names = [name, *([graph.tensors[operator.inputs[1]].name.decode()] if kind in CONVOLUTIONS else [])]
        of = frozenset(layer for each in names for layer in layers_named(each, layers))
        inputs, outputs = (frozenset(map(int, each)) for each in (operator.inputs, operator.outputs))
        found.append(_Op(kind, name, inputs, outputs, of))
    return found


def _ranges(model: bytes, batches: Iterator[np.ndarray]) -> dict[int, tuple[float, float]]:
    """The least and the largest value of each float tensor of a .tflite model that its ops or its caller make."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    with warnings.catch_warnings(action="ignore"):  # Of the memory that tensors take which are kept.
        interpreter = Interpreter(
            model_content=model,
            num_threads=os.cpu_count(),
            experimental_preserve_all_tensors=True,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    interpreter.allocate_tensors()
    graph = _parsed(model).subgraphs[0]
    image = int(graph.inputs[0])
    made = [image, *(int(tensor) for op in graph.operators for tensor in op.outputs)]
    ranges: dict[int, tuple[float, float]] = {}
    for batch in batches:
        interpreter.set_tensor(image, batch)
        interpreter.invoke()
        for tensor in made:
            values = interpreter.get_tensor(tensor)
            if values.dtype == np.float32:
                low, high = ranges.get(tensor, (np.inf, -np.inf))
                ranges[tensor] = (min(low, float(values.min())), max(high, float(values.max())))
    return ranges


def _with_ranges(model: bytes, ranges: dict[int, tuple[float, float]]) -> bytes:
    """A calibrated .tflite model with other ranges, and none where `ranges` has none."""
    file = _parsed(model)
    for number, tensor in enumerate(file.subgraphs[0].tensors):
        if tensor.quantization is not None and tensor.quantization.min is not None:
            if number in ranges:
                tensor.quantization.min, tensor.quantization.max = ([end] for end in ranges[number])
            else:
                tensor.quantization = None
    return _packed(file)


def _for_kernels_of_16x8(model: bytes) -> bytes:
    """An int16 model as LiteRT's kernels read it: zero points 0, and biases of 64 bits.

    TensorFlow's zero points are -1, since it divides a symmetric range into an even number of integers, and its biases
    have 32 bits, which kernels take for half as many of 64.
    """
    file, types = _parsed(model), _compat.litert_schema().TensorType
    for tensor in file.subgraphs[0].tensors:
        if tensor.type == types.INT16:
            tensor.quantization.zeroPoint = [0]
        content = file.buffers[tensor.buffer]
        is_bias = (
            tensor.type == types.INT32 and tensor.quantization is not None and tensor.quantization.scale is not None
        )
        if is_bias and content.data is not None:
            tensor.type = types.INT64
            content.data = np.frombuffer(bytes(content.data), np.int32).astype(np.int64).view(np.uint8)
    return _packed(file)


def _parsed(model: bytes) -> Any:
    schema = _compat.litert_schema()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))


def _packed(file: Any) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def int8_steps_of_pooling(
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
    measured = [ranges.predict_on_batch(batch) for batch in _measured_on(images, size, progress, "Measuring")]
    found = np.reshape(measured, (len(measured), len(layers), 2))  # Of a single layer, Keras gives a flat pair.
    lowest, highest = np.min(found, axis=0)[:, 0], np.max(found, axis=0)[:, 1]
    return {
        # The converter divides the range from 0 to the largest value into 255 steps.
        layer.name: float(high) / 255
        for layer, low, high in zip(layers, lowest, highest, strict=True)
        if low >= 0 and high > 0
    }


def _measured_on(
    images: Sequence[np.ndarray], size: tuple[int, int], progress: Progress, title: str
) -> Iterator[np.ndarray]:
    """Images as the network takes them, float32 `(1, height, width, 3)`, for the ranges of activations.

    The first gets a black and a white pixel, which make the range of the input 0..255 whatever the images: then uint8
    input is the bytes of the image as they are, as clients take for granted that know nothing of scales.
    """
    for number, image in enumerate(progress(images, len(images), title)):
        batch = resize_image(image, size)[None].astype(np.float32)
        if number == 0:
            batch[0, 0, 0], batch[0, -1, -1] = 0, 255
        yield batch


__all__ = ["ACTIVATIONS", "convert_to_integers", "int8_steps_of_pooling"]
