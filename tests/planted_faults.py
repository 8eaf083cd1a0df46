"""Exports with a fault planted, for whoever judges the gate: its tests, and benchmarks/gate.py."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import flatbuffers
import keras
import numpy as np
from keras import layers, ops

from keras_segnet import _compat
from keras_segnet.exporting import to_onnx, to_saved_model, to_tflite, writing
from keras_segnet.exporting.heads import without_softmax
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models.folding import folded_normalizations

PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Fault:
    """What is wrong with an export.

    Attributes:
        model: gives the model that is exported instead.
        graph: is active while the model is exported.
        content: gives the content of the .tflite file instead.
        precisions: in which it can be planted.
    """

    model: Callable[[keras.Model], keras.Model] = lambda model: model
    graph: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    content: Callable[[bytes], bytes] = lambda content: content
    precisions: Sequence[str] = PRECISIONS


def write(model: keras.Model, path: Path, fault: Fault = Fault(), **options: Any) -> None:
    """Exports past the gate, to the format of the path's suffix; none is a SavedModel's."""
    export = {".tflite": to_tflite, ".onnx": to_onnx, "": to_saved_model}[path.suffix]
    with mock.patch.object(writing, "judge", lambda *_: SimpleNamespace(passed=True)), fault.graph():
        export(fault.model(model), path, **options)
    if path.suffix == ".tflite":
        path.write_bytes(fault.content(path.read_bytes()))


# Models that differ in one thing.


def weights_changed(which: int, change: Callable[[list[np.ndarray]], list[np.ndarray]]) -> Fault:
    """One convolution's weights are others."""

    def changed(model: keras.Model) -> keras.Model:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        layer = convolutions(copy)[which]
        layer.set_weights(change(layer.get_weights()))
        return copy

    return Fault(changed)


def convolutions(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]


def middle(model: keras.Model) -> keras.Layer:
    """A convolution that batch normalisation follows."""
    found = [layer for layer in convolutions(model) if layer.name in folded_normalizations(model)]
    return found[len(found) // 2]


def middle_changed(change: Callable[[np.ndarray, np.ndarray, keras.Layer], None]) -> Fault:
    """`change` writes into kernel and bias of a convolution, and into the batch normalisation behind it."""

    def changed(model: keras.Model) -> keras.Model:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        layer = middle(copy)
        kernel, bias = (values.copy() for values in layer.get_weights())
        change(kernel, bias, folded_normalizations(copy)[layer.name])
        layer.set_weights([kernel, bias])
        return copy

    return Fault(changed)


def no_bias(kernel: np.ndarray, bias: np.ndarray, normalisation: keras.Layer) -> None:
    """Of the convolution that the two are folded into."""
    bias[:] = 0
    normalisation.moving_mean.assign(ops.zeros_like(normalisation.moving_mean))
    normalisation.beta.assign(ops.zeros_like(normalisation.beta))


def larger(kernel: np.ndarray, bias: np.ndarray, normalisation: keras.Layer) -> None:
    kernel *= 1.05


def dead(kernel: np.ndarray, bias: np.ndarray, normalisation: keras.Layer) -> None:
    kernel[..., 0] = 0


def configured(kind: type[keras.Layer], **config: Any) -> Fault:
    """Layers of a kind are configured in another way."""

    def changed(model: keras.Model) -> keras.Model:
        def clone(layer: keras.Layer) -> keras.Layer:
            return type(layer).from_config(layer.get_config() | (config if isinstance(layer, kind) else {}))

        copy = keras.models.clone_model(model, clone_function=clone)
        copy.set_weights(model.get_weights())
        return copy

    return Fault(changed)


def around(before: Callable[[Any], Any] | None = None, after: Callable[[Any], Any] | None = None) -> Fault:
    """Something is done to the image before the network, or to its logits behind it."""

    def changed(model: keras.Model) -> keras.Model:
        image = keras.Input(model.input_shape[1:], name="image")
        logits = without_softmax(model)
        weights = {layer.name: layer.get_weights() for layer in logits.layers}
        # Not the model as a layer: int8 needs to see the poolings.
        x = image if before is None else before(image)
        y = _compat.run_through(logits, x, lambda layer: type(layer).from_config(layer.get_config()))
        copy = keras.Model(image, layers.Softmax()(y if after is None else after(y)), name=model.name)
        for layer in copy.layers:
            if weights.get(layer.name):
                layer.set_weights(weights[layer.name])
        return copy

    return Fault(changed)


def swapped(weights: list[np.ndarray]) -> list[np.ndarray]:
    """The last two filters, which are rare classes of CamVid."""
    order = [*range(weights[0].shape[-1] - 2), -1, -2]
    return [values[..., order] for values in weights]


# Graphs whose indices mean something else.


@contextlib.contextmanager
def last_maximum() -> Iterator[None]:
    """Of equal values in a window the last one wins: rows and columns change places in each window, and back."""
    pool, unpool = MaxPoolingWithArgmax2D.call, MaxUnpooling2D.call

    def turned(x: Any) -> Any:
        for axis in (1, 2):
            size = x.shape[axis]
            x = ops.take(x, [i ^ 1 if i ^ 1 < size else i for i in range(size)], axis=axis)
        return x

    with (
        mock.patch.object(MaxPoolingWithArgmax2D, "call", lambda self, x: pool(self, turned(x))),
        mock.patch.object(MaxUnpooling2D, "call", lambda self, u, i, like: turned(unpool(self, u, i, like=like))),
    ):
        yield


@contextlib.contextmanager
def wrong_padding() -> Iterator[None]:
    """What an odd size leaves over is cut off at the start instead of the end."""
    unpool = MaxUnpooling2D.call

    def wrong(self: Any, updates: Any, indices: Any, like: Any) -> Any:
        whole = unpool(self, updates, indices)
        return whole[:, whole.shape[1] - like.shape[1] :, whole.shape[2] - like.shape[2] :]

    with mock.patch.object(MaxUnpooling2D, "call", wrong):
        yield


# Files whose integers mean something else.


def tensors_of_convolutions(content: bytes) -> list[tuple[int, int]]:
    """Input and kernel of each convolution of a .tflite file."""
    schema = _compat.litert_schema()
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    codes = [code.builtinCode for code in file.operatorCodes]
    return [
        (int(operator.inputs[0]), int(operator.inputs[1]))
        for operator in file.subgraphs[0].operators
        if codes[operator.opcodeIndex] == schema.BuiltinOperator.CONV_2D
    ]


def with_double_scale(content: bytes, tensor: int) -> bytes:
    """A .tflite file in which a tensor's integers stand for twice as much."""
    schema = _compat.litert_schema()
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    quantization = file.subgraphs[0].tensors[tensor].quantization
    quantization.scale = 2 * np.asarray(quantization.scale)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def double_scale(which: int) -> Fault:
    """Of a convolution in the middle: 0, its input's; 1, its kernel's."""

    def doubled(content: bytes) -> bytes:
        found = tensors_of_convolutions(content)
        return with_double_scale(content, found[len(found) // 2][which])

    return Fault(content=doubled, precisions=("int8",))


FAULTS = {
    "two classes swapped": weights_changed(-1, swapped),
    "bias zeroed": middle_changed(no_bias),
    "kernel x 1.05": middle_changed(larger),
    "dead channel": middle_changed(dead),
    "softmax twice": around(after=ops.softmax),
    "temperature 3": around(after=lambda logits: logits / 3),
    "classifier x 1.05": weights_changed(-1, lambda weights: [1.05 * values for values in weights]),
    "epsilon 1e-3": configured(layers.BatchNormalization, epsilon=1e-3),
    "BGR": around(before=lambda image: image[..., ::-1]),
    "no mean": configured(layers.Normalization, mean=[0.0, 0.0, 0.0]),
    "no deviation": configured(layers.Normalization, variance=[1.0, 1.0, 1.0]),
    "output shifted by a pixel": around(after=lambda logits: ops.roll(logits, 1, axis=2)),
    "input shifted by a pixel": around(before=lambda image: ops.roll(image, 1, axis=2)),
    "wrong padding at an odd size": Fault(graph=wrong_padding),
    "last of equal maxima": Fault(graph=last_maximum),
    "scale of a kernel doubled": double_scale(1),
    "scale of a map doubled": double_scale(0),
}
