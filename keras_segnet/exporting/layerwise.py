"""A file layer by layer: each layer of the model gets what the file's own tensors hold, and must give what they hold.

Errors do not add up this way. What rounding does to a network as a whole, where a pooling's index jumps between nearly
equal values, is not seen, and a fault of one layer is, however little it changes in the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np
from keras import layers

from keras_segnet import _compat
from keras_segnet.exporting.constants import Filters
from keras_segnet.exporting.deconvolution import ShuffledDeconvolution, TurnedDeconvolution, replacement_of
from keras_segnet.layers import InterpolateLike, MaxUnpooling2D
from keras_segnet.models.folding import folded_normalizations

NAMED = (
    *(layers.Add, layers.Concatenate, layers.GlobalAveragePooling2D, layers.ReLU, layers.UpSampling2D),
    *(InterpolateLike, MaxUnpooling2D),
)
"""Layers whose tensor is found by its name: those that round to integers of their own in an int8 file."""


class Held(NamedTuple):
    """The content of a tensor of a file."""

    values: np.ndarray
    """float32, channels last."""
    step: float
    """Quantisation step of the tensor's integers; 0 for a float tensor."""
    least: float
    largest: float
    """Largest value that the tensor can hold."""


class LayeredFile(Protocol):
    """A file whose tensors can be read."""

    def named(self) -> list[tuple[Any, str]]:
        """Each tensor that an op makes, in order, and the names of what it was made from, the last op first."""

    def is_rectified(self, tensor: Any) -> bool:
        """Whether a ReLU is part of the op that makes a tensor."""

    def run(self, image: np.ndarray, wanted: Sequence[Any]) -> tuple[list[Held], Held]:
        """What tensors hold for an image `(1, height, width, 3)`, and what its head gives."""


class Difference(NamedTuple):
    """The difference between a layer of the file and the model's."""

    layer: str
    error: float
    """Root of the mean square, for the row or column of pixels where that is worst."""
    mean_error: float
    """The same over all values but zeros, which each precision has."""
    signal: float
    """Standard deviation of what the model gives, over all pixels."""
    magnitude: float
    """Largest absolute value that the model gives."""
    step: float
    """Quantisation step of the file's integers; 0 for a float layer."""
    least: float
    largest: float
    """Largest value that these integers can hold."""
    lost: float
    """Root of the mean square of what is beyond that range."""
    noise: float
    """Error of a channel over its standard deviation, 1 at most: root of the mean square of all channels."""


def tensors_of(
    model: keras.Model, pairs: Sequence[tuple[Filters, Filters | None]], file: LayeredFile
) -> dict[str, Any]:
    """Returns the file's tensor for each layer of the model that is a tensor of its own in the file.

    Convolutions are known by their filters, with the normalisation and the ReLU that became part of them; others by the
    names that converters give.
    """
    normalisations = folded_normalizations(model)
    rectifiers = {_compat.maker(layer.input).name: layer for layer in model.layers if _is_rectifier(layer)}
    names = {layer.name: layer for layer in model.layers}
    found = {}
    for tensor, name in file.named():
        layer = next((names[each] for each in layers_named(name.split(";")[0], names)), None)
        if isinstance(layer, NAMED) or (layer is not None and replacement_of(layer) is ShuffledDeconvolution):
            found[layer.name] = tensor
    for ours, theirs in pairs:
        if theirs is None or ours.name not in names or replacement_of(names[ours.name]) is ShuffledDeconvolution:
            continue
        last = normalisations.get(ours.name, names[ours.name])
        activation = getattr(last, "activation", keras.activations.linear)  # A normalisation has none.
        if file.is_rectified(theirs.output) and activation is keras.activations.linear:
            last, activation = rectifiers.get(last.name, last), keras.activations.relu
        expected = keras.activations.relu if file.is_rectified(theirs.output) else keras.activations.linear
        if activation is expected:
            found[last.name] = theirs.output
    return found


def layers_named(name: str, layers: Collection[str]) -> list[str]:
    """Returns those of the layers whose ops a converter merged into the op of this name."""
    scopes = [part.split("/")[0] for part in name.split(";")]
    # Keras opens a layer's scope twice, to build and to call it, and TensorFlow numbers the second one.
    named = [[each for each in (re.sub(r"_\d+$", "", scope), scope) if each in layers][:1] for scope in scopes]
    return [layer for each in named for layer in each]


def _is_rectifier(layer: keras.Layer) -> bool:
    is_plain = isinstance(layer, layers.ReLU) and layer.max_value is None and not layer.negative_slope
    return is_plain or (isinstance(layer, layers.Activation) and layer.activation is keras.activations.relu)


def compare_layers(
    model: keras.Model,
    file: LayeredFile,
    pairs: Sequence[tuple[Filters, Filters | None]],
    tensors: Mapping[str, Any],
    image: np.ndarray,
    head: str,
) -> list[Difference]:
    """How far each layer of a file is from the model's, where both get the same and have the same filters.

    Args:
        model: the network, up to its logits.
        file: the file.
        pairs: the model's filters and the file's.
        tensors: see `tensors_of`.
        image: RGB 0..255 `(1, height, width, 3)`.
        head: of the file.
    """
    held, output = file.run(image, list(tensors.values()))
    of_layer = dict(zip(tensors, held, strict=True))
    differences = []

    def as_in_the_file(layer: Any, result: Any) -> Any:
        if layer.name not in of_layer:
            return result
        there = of_layer[layer.name]
        if isinstance(layer, NAMED) and there.values.shape != tuple(result.shape):
            return result  # A step on the way: of a layer's last op, the converter keeps no name where the file ends.
        differences.append(_difference(layer.name, keras.ops.convert_to_numpy(result), there))
        return keras.ops.convert_to_tensor(there.values)

    filters = {ours.name: theirs for ours, theirs in pairs if theirs is not None}
    logits = _run(model, image, filters, as_in_the_file)
    differences.append(_difference("the output", _finish(logits, head), output))
    return differences


def labels_within_ranges(model: keras.Model, differences: Sequence[Difference], image: np.ndarray) -> np.ndarray:
    """Labels of the model where layers hold no more than a file's integers can.

    The ranges of a file are those of the images that it was made for. What is brighter than these shows nothing else.

    Args:
        model: the network, up to its logits.
        differences: of the file's layers; see `compare_layers`.
        image: RGB 0..255 `(1, height, width, 3)`.

    Returns:
        int `(1, height, width)`.
    """
    ranges = {each.layer: (each.least, each.largest) for each in differences}

    def clipped(layer: Any, result: Any) -> Any:
        return keras.ops.clip(result, *ranges[layer.name]) if layer.name in ranges else result

    return _finish(_run(model, image, {}, clipped), "class_map")


def labels_after_rounding(
    model: keras.Model,
    pairs: Sequence[tuple[Filters, Filters | None]],
    differences: Sequence[Difference],
    image: np.ndarray,
    head: str,
    generator: np.random.Generator,
) -> np.ndarray:
    """`labels_within_ranges` where filters and layers are rounded as coarsely as a file's, but to other values.

    Rounding errors are as large as a right file's and differ from them, so about as many labels change. Of a network
    with random weights that is up to a fifth.

    Args:
        model: the network, up to its logits.
        pairs: the model's filters and the file's, of which the steps are used.
        differences: of the file's layers; see `compare_layers`.
        image: RGB 0..255 `(1, height, width, 3)`.
        head: of the file.
        generator: decides to which values.

    Returns:
        int `(1, height, width)`.
    """
    # Numbers that are rounded to a step are off by a root of 12 of it.
    steps = {each.layer: 12**0.5 * each.mean_error for each in differences if 0 < each.mean_error < np.inf}
    ranges = {each.layer: (each.least, each.largest) for each in differences}

    def shifted(values: np.ndarray, unit: np.ndarray) -> np.ndarray:
        return values + unit * generator.uniform(-0.5, 0.5, values.shape)

    def rounded(layer: Any, result: Any) -> Any:
        if layer.name not in steps:
            return result
        step, offset = steps[layer.name], generator.uniform(-0.5, 0.5, result.shape[-1]).astype(np.float32)
        # Equal values stay equal, and zero, which each precision has, stays zero: there the first maximum wins.
        result = keras.ops.where(result == 0, 0.0, step * (keras.ops.round(result / step - offset) + offset))
        return keras.ops.clip(result, *ranges[layer.name])

    filters = {
        ours.name: replace(
            ours,
            kernel=shifted(ours.kernel, theirs.kernel_unit),
            bias=ours.bias if ours.bias is None or theirs.bias is None else shifted(ours.bias, theirs.bias_unit),
        )
        for ours, theirs in pairs
        if theirs is not None
    }
    scores = _finish(_run(model, image, filters, rounded), "logits" if head == "class_map" else head)
    step = differences[-1].step
    return (np.round(scores / step) if step else scores).argmax(axis=-1)


def _run(
    model: keras.Model, image: np.ndarray, filters: Mapping[str, Filters], finish: Callable[[Any, Any], Any]
) -> Any:
    """The logits of a model whose convolutions have other filters.

    Args:
        model: the network, up to its logits.
        image: RGB 0..255 `(1, height, width, 3)`.
        filters: by the convolution's name, with batch normalisation folded into them.
        finish: called with each layer and what it gives; the next layers get what this returns.
    """
    folded = {layer.name for name, layer in folded_normalizations(model).items() if name in filters}

    def operation(layer: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if layer.name in folded:  # Is part of the convolution's filters.
                result = arguments[0]
            elif layer.name in filters:
                result = _with_filters(layer, filters[layer.name], arguments[0])
            else:
                if "training" in options:
                    options["training"] = False
                result = layer(*arguments, **options)
            return finish(layer, result)

        return call

    return _compat.run_through(model, keras.ops.convert_to_tensor(image.astype(np.float32)), operation)


def _with_filters(layer: Any, filters: Filters, inputs: Any) -> Any:
    """The output of a convolution with the file's filters in place of the model's."""
    kernel = filters.kernel
    replacement = replacement_of(layer)
    if replacement is ShuffledDeconvolution:
        return layer(inputs)
    if replacement is TurnedDeconvolution:
        kernel = kernel[::-1, ::-1]
    if isinstance(layer, layers.Conv2DTranspose):
        kernel = kernel.swapaxes(2, 3)
    weights = [kernel.reshape(layer.kernel.shape).astype(np.float32)]
    bias = np.zeros(filters.kernel.shape[-1]) if filters.bias is None else filters.bias
    if layer.use_bias:
        weights.append(bias.astype(np.float32))
    result, _ = layer.stateless_call(weights, [], inputs)
    return result if layer.use_bias else result + bias.astype(np.float32)


def _finish(logits: Any, head: str) -> np.ndarray:
    result = {
        "logits": lambda x: x,
        "probabilities": keras.ops.softmax,
        "class_map": lambda x: keras.ops.argmax(x, -1),
    }[head]
    return keras.ops.convert_to_numpy(result(logits))


def _difference(name: str, expected: np.ndarray, there: Held) -> Difference:
    if expected.shape != there.values.shape:
        return Difference(name, np.inf, np.inf, float(expected.std()), 0.0, there.step, -np.inf, np.inf, 0.0, 1.0)
    whole, expected = expected, np.clip(expected, there.least, there.largest)
    # A ReLU that is part of the layer takes away what is negative.
    lost = np.maximum(whole - there.largest, 0) + (np.maximum(there.least - whole, 0) if there.least < 0 else 0)
    squares = np.square(expected.astype(np.float64) - there.values)
    # A border that is cut off on the wrong side is one row of many.
    worst = (
        max(squares.mean(axis=(0, 2, 3)).max(), squares.mean(axis=(0, 1, 3)).max())
        if squares.ndim == 4
        else squares.mean()
    )
    return Difference(
        layer=name,
        error=float(np.sqrt(worst)),
        mean_error=float(np.sqrt(squares.sum() / max(np.count_nonzero(expected), 1))),
        signal=float(whole.std()),
        magnitude=float(np.abs(whole).max()),
        step=there.step,
        least=there.least,
        largest=there.largest,
        lost=float(np.sqrt(np.square(lost).mean())),
        noise=_noise(squares + np.square(lost), whole),
    )


def _noise(squares: np.ndarray, whole: np.ndarray) -> float:
    pixels = tuple(range(whole.ndim - 1))
    errors, variances = squares.mean(axis=pixels), whole.var(axis=pixels, dtype=np.float64)
    # A channel that is the same everywhere has no signal to lose.
    shares = np.divide(errors, variances, out=np.zeros_like(variances), where=variances > 0)
    return float(np.sqrt(np.minimum(shares, 1.0).mean()))


__all__ = [
    "Difference",
    "Held",
    "LayeredFile",
    "compare_layers",
    "labels_after_rounding",
    "labels_within_ranges",
    "layers_named",
    "tensors_of",
]
