"""Eight bits: the ranges of activations, and the conversion that uses them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import flatbuffers
import keras
import numpy as np

from keras_segnet import _compat
from keras_segnet.data.images import resize_image
from keras_segnet.layers import MaxPoolingWithArgmax2D
from keras_segnet.progress import Progress, silent


def convert_to_int8(
    converter: Any, images: Sequence[np.ndarray], size: tuple[int, int], interface: str, progress: Progress
) -> bytes:
    """A .tflite file with weights and activations of eight bits.

    TensorFlow's own calibration reads a tensor after the op that consumes it, and an elementwise op may have written
    its result over it by then: the mask of a place in the pooling window, 0 or 6, gets the range of the values that it
    masks, and rounds to nothing where these are large. So the ranges are measured here, with every tensor kept.

    Args:
        converter: of the network in float32.
        images: uint8 RGB images of any size, on which the ranges are measured.
        size: height and width of the network's input.
        interface: dtype of the file's input and of scores that come out of it.
        progress: shows how far the measuring is.
    """
    import tensorflow as tf

    def one() -> Iterator[list[np.ndarray]]:
        yield [next(_measured_on(images[:1], size, silent, ""))]

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = one
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    calibrated = _compat.calibrated(converter)
    ranges = _ranges(calibrated, _measured_on(images, size, progress, "Calibrating"))
    return _compat.quantized(_with_ranges(calibrated, ranges), interface)


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
    """A calibrated .tflite model with other ranges."""
    file = _parsed(model)
    for tensor, (low, high) in ranges.items():
        statistics = file.subgraphs[0].tensors[tensor].quantization
        if statistics is not None and statistics.min is not None:
            statistics.min, statistics.max = [low], [high]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _parsed(model: bytes) -> Any:
    schema = _compat.litert_schema()
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))


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


__all__ = ["convert_to_int8", "int8_steps_of_pooling"]
