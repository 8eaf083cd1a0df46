"""What a network's graph tells: its cost, how far it sees, which layers score, and where its encoder ends."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from keras_segnet import _compat
from keras_segnet.errors import InputError
from keras_segnet.layers import CropLike, InterpolateLike, MaxPoolingWithArgmax2D, MaxUnpooling2D

if TYPE_CHECKING:
    from keras_segnet.models.registry import Network

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D, MaxPoolingWithArgmax2D)
GLOBAL_POOLINGS = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
UPSAMPLINGS = (MaxUnpooling2D, InterpolateLike, layers.Conv2DTranspose, layers.UpSampling2D, layers.Resizing)


@dataclass(frozen=True)
class NetworkSummary:
    """The cost of a network, and its receptive field.

    Attributes:
        parameters: those that training changes; running averages of batch normalisation are not among them.
        multiply_adds: for one image, of all convolutions, transposed convolutions and dense layers; None where the
            network's size is open. Biases, normalisation, activations, pooling and interpolation are not counted.
        receptive_field: rows and columns of the image that a unit at the encoder's deepest place sees; infinite where
            the network pools whole maps.
    """

    parameters: int
    multiply_adds: int | None
    receptive_field: tuple[float, float]


def summarize(model: keras.Model) -> NetworkSummary:
    """Summarises a functional model, whose weights may have any values."""
    calls = list(_calls(model))
    known = all(None not in tensor.shape[1:] for tensor in model.inputs)
    return NetworkSummary(
        parameters=sum(math.prod(variable.shape) for variable in model.trainable_variables),
        multiply_adds=sum(_multiply_adds(call) for call in calls) if known else None,
        receptive_field=(_seen(model, calls, 0)[0], _seen(model, calls, 1)[0]),
    )


def summarize_network(network: Network) -> NetworkSummary:
    """Builds a network for 11 classes and 360x480 without giving its weights values, and summarises it.

    That takes a fraction of a second and little memory, whatever the network's size.
    """

    def summarize_without_values() -> NetworkSummary:
        with keras.StatelessScope(initialize_variables=False):
            return summarize(network.build())

    # A thread of its own, because Keras lists variables without values by thread, to give them some later.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(summarize_without_values).result()


def stride(model: keras.Model) -> int:
    """Distance in the image, in pixels, of neighbours at the encoder's deepest place; the larger of both axes."""
    calls = list(_calls(model))
    return max(int(_seen(model, calls, axis)[1]) for axis in (0, 1))


def ends_in_softmax(model: keras.Model) -> bool:
    """Whether a network gives probabilities, not logits."""
    (output,) = model.outputs
    last = _compat.maker(output)
    return isinstance(last, layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax


def score_layers(model: keras.Model) -> list[str]:
    """Names of the layers whose filters are classes: what gives scores, and the deconvolutions that only enlarge them.

    These are the last convolutions before the output on each path to it, and transposed convolutions on the way from
    there that take as many channels as they give.
    """
    made_by = {id(tensor): call for call in _calls(model) for tensor in call.output_tensors}
    waiting, found = list(model.outputs), []
    while waiting:
        call = made_by.get(id(waiting.pop()))
        if call is None:
            continue
        layer = call.operation
        if isinstance(layer, (layers.Conv2D, layers.Conv2DTranspose)):
            found.append(layer.name)
        if isinstance(layer, layers.Conv2D) or (
            isinstance(layer, layers.Conv2DTranspose) and layer.kernel.shape[2] != layer.kernel.shape[3]
        ):
            continue
        # What a map is cropped or unpooled like is looked at for its shape only.
        waiting += call.input_tensors[:1] if isinstance(layer, (CropLike, MaxUnpooling2D)) else call.input_tensors
    return sorted(set(found))


def split(model: keras.Model, at: str | None = None) -> tuple[keras.Model, keras.Model]:
    """Splits a network into its encoder and its decoder, two models that share its weights.

    `decoder(encoder(image))` is `model(image)`. The encoder's outputs, which are the decoder's inputs, are all tensors
    that cross the cut: the deepest feature map first, then the pooling indices of each stage, and feature maps, also
    those that unpooling looks at only for their height and width. (`keras.Model(features, model.output)` alone is
    refused by Keras, because the decoder needs the others.)

    Args:
        model: functional, with one input.
        at: name of the layer whose outputs end the encoder. Default: the last pooling with indices.

    Returns:
        Encoder and decoder. Each can be called, saved and trained.

    Raises:
        InputError: the model has no such layer, or no pooling with indices and `at` is not given.
    """
    calls = list(_calls(model))
    poolings = [call.operation.name for call in calls if isinstance(call.operation, MaxPoolingWithArgmax2D)]
    if at is None and not poolings:
        raise InputError(f"{model.name} has no pooling with indices; name the layer that ends the encoder, `at`.")
    end = poolings[-1] if at is None else at
    made_by = {id(tensor): call for call in calls for tensor in call.output_tensors}
    waiting = [call for call in calls if call.operation.name == end]
    if not waiting:
        raise InputError(f"{model.name} has no layer {end!r}.")
    encoding = {id(tensor): tensor for tensor in model.inputs}
    while waiting:
        call = waiting.pop()
        encoding |= {id(tensor): tensor for tensor in call.output_tensors}
        waiting += [made_by[id(tensor)] for tensor in call.input_tensors if id(tensor) not in encoding]
    behind = [call for call in calls if id(call.output_tensors[0]) not in encoding]
    crossing = {id(t): t for call in behind for t in call.input_tensors if id(t) in encoding}
    cut = list(crossing.values())
    return (
        keras.Model(model.input, cut, name=f"{model.name}_encoder"),
        keras.Model(cut, model.outputs, name=f"{model.name}_decoder"),
    )


def _calls(model: keras.Model) -> Iterator[Any]:
    """Each call of an operation in a model's graph, after the calls that make its inputs."""
    for call in _compat.calls(keras.Model(model.inputs, model.outputs)):  # Of a Sequential too.
        if isinstance(call.operation, keras.Model):
            raise ValueError(f"{model.name} has a model inside, {call.operation.name}; only layers can be counted.")
        if not call.is_input:
            yield call


def _multiply_adds(call: Any) -> int:
    layer = call.operation
    if isinstance(layer, layers.Conv2DTranspose):
        # Each value of the input meets the whole kernel, though what falls beyond the border is dropped.
        places = call.input_tensors[0].shape[1:3]
    elif isinstance(layer, CONVOLUTIONS):
        places = call.output_tensors[0].shape[1:3]
    elif isinstance(layer, layers.Dense):
        places = call.output_tensors[0].shape[1:-1]
    else:
        return 0
    return math.prod(places) * math.prod(layer.kernel.shape)


def _seen(model: keras.Model, calls: list[Any], axis: int) -> tuple[float, float]:
    """Extent of the receptive field at the encoder's deepest place, and distance of its neighbours, along an axis.

    Along a path, a window of k elements adds (k - 1) times the distance of its elements in the image, and a stride
    multiplies the distance of those behind it (arXiv 1603.07285). Where paths meet, the largest counts. The encoder
    ends on each path where a map is first enlarged, by unpooling, transposed convolution or interpolation; nothing
    behind that is looked at. What only depends on the place itself, as normalisation and activations do, adds nothing.
    """
    seen = {id(tensor): (1.0, 1.0) for tensor in model.inputs}
    for call in calls:
        if isinstance(call.operation, UPSAMPLINGS) or any(id(tensor) not in seen for tensor in call.input_tensors):
            continue
        extents, distances = zip(*(seen[id(tensor)] for tensor in call.input_tensors), strict=True)
        extent, distance = max(extents), max(distances)
        size, stride = _window(call.operation, axis)
        for tensor in call.output_tensors:
            seen[id(tensor)] = (extent + (size - 1) * distance, distance * stride)
    return max(extent for extent, _ in seen.values()), max(distance for _, distance in seen.values())


def _window(layer: Any, axis: int) -> tuple[float, int]:
    """Number of elements that a layer's window spans along an axis, and the window's stride."""
    if isinstance(layer, CONVOLUTIONS):
        return (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1, layer.strides[axis]
    if isinstance(layer, POOLINGS):
        return layer.pool_size[axis], layer.strides[axis]
    if isinstance(layer, GLOBAL_POOLINGS):
        return math.inf, 1
    return 1, 1


__all__ = ["NetworkSummary", "ends_in_softmax", "score_layers", "split", "stride", "summarize", "summarize_network"]
