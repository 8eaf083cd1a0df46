"""The constants of a file against the model's own: each kernel and bias, to half a step of its own precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from keras_segnet.exporting.deconvolution import exported_kernel
from keras_segnet.models.folding import CONVOLUTIONS, folded_normalizations

ROUNDING = 2.0**-20
"""Relative error, float32, that folding batch normalisation may have: some units in the last place."""


@dataclass(frozen=True)
class Filters:
    """One convolution of the model, or of a file, where the values are what its integers stand for.

    Attributes:
        name: of the layer, or of what the file has it under.
        kernel: `(height, width, inputs, outputs)`; of a depthwise convolution `(height, width, 1, outputs)`.
        bias: `(outputs,)`, or None where there is none.
        kernel_unit: of a file: the step of its integers, or the unit in the last place; as `kernel`, or to broadcast.
            Of the model: how exactly the values are known.
        bias_unit: the same of `bias`.
        output: of a file: number or name of the tensor that the convolution, with what is fused into it, gives.
    """

    name: str
    kernel: np.ndarray
    bias: np.ndarray | None
    kernel_unit: np.ndarray
    bias_unit: np.ndarray
    output: int | str = ""


def last_place(values: np.ndarray) -> np.ndarray:
    """The unit in the last place of float16 or float32 values."""
    return np.spacing(np.abs(values)).astype(np.float64)


def filters_of(model: keras.Model) -> list[Filters]:
    """The convolutions of a network in its order, with the batch normalisation that follows one folded into it."""
    normalisations = folded_normalizations(model)
    return [_folded(layer, normalisations.get(layer.name)) for layer in model.layers if isinstance(layer, CONVOLUTIONS)]


def _folded(layer: keras.Layer, normalisation: keras.Layer | None) -> Filters:
    kernel = _kernel(layer).astype(np.float64)
    outputs = kernel.shape[-1]
    bias = _value(layer.bias, outputs, 0.0) if layer.use_bias else np.zeros(outputs)
    size = np.abs(bias)  # Of all that is summed, which says how large rounding errors are.
    if normalisation is not None:
        scale = _value(normalisation.gamma, outputs, 1.0) / np.sqrt(
            _value(normalisation.moving_variance, outputs, 1.0) + normalisation.epsilon
        )
        mean = _value(normalisation.moving_mean, outputs, 0.0)
        offset = _value(normalisation.beta, outputs, 0.0)
        size = (size + np.abs(mean)) * np.abs(scale) + np.abs(offset)
        kernel, bias = kernel * scale, (bias - mean) * scale + offset
    has_bias = layer.use_bias or normalisation is not None
    return Filters(layer.name, kernel, bias if has_bias else None, ROUNDING * np.abs(kernel), ROUNDING * size)


def _kernel(layer: keras.Layer) -> np.ndarray:
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    if isinstance(layer, layers.DepthwiseConv2D):
        return kernel.reshape(*kernel.shape[:2], 1, -1)
    if isinstance(layer, layers.Conv2DTranspose):
        return exported_kernel(layer)
    return kernel


def _value(variable: object, count: int, default: float) -> np.ndarray:
    if variable is None:
        return np.full(count, default)
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def match(expected: Sequence[Filters], found: Sequence[Filters]) -> list[tuple[Filters, Filters | None]]:
    """For each convolution of the model the one of the file, by the nearest kernel of its shape; each is taken once."""
    left = list(found)
    pairs: list[tuple[Filters, Filters | None]] = []
    for ours in expected:
        candidates = [theirs for theirs in left if theirs.kernel.shape == ours.kernel.shape]
        nearest = min(candidates, key=lambda theirs: float(np.square(theirs.kernel - ours.kernel).sum()), default=None)
        if nearest is not None:
            left.remove(nearest)
        pairs.append((ours, nearest))
    return pairs


def steps_off(ours: Filters, theirs: Filters) -> tuple[float, float]:
    """Largest difference of a kernel and of a bias, in steps of the file's own precision."""
    biases = [np.zeros(ours.kernel.shape[-1]) if each.bias is None else each.bias for each in (ours, theirs)]
    return (
        _steps(ours.kernel - theirs.kernel, ours.kernel_unit, theirs.kernel_unit),
        _steps(biases[0] - biases[1], ours.bias_unit, theirs.bias_unit),
    )


def _steps(difference: np.ndarray, known_to: np.ndarray, unit: np.ndarray) -> float:
    excess = np.maximum(np.abs(difference) - known_to, 0.0)
    steps = np.divide(
        excess, unit, out=np.where(excess > 0, np.inf, 0.0), where=np.broadcast_to(unit > 0, excess.shape)
    )
    return float(np.where(np.isnan(difference), np.inf, steps).max())


__all__ = ["Filters", "filters_of", "last_place", "match", "steps_off"]
