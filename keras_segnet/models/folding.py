"""Batch normalisation folded into the convolutions before it, for inference."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_segnet import _compat

CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose)


def fold_batch_normalization(model: keras.Model) -> keras.Model:
    """A copy of a network in which no batch normalisation is left that directly follows a convolution.

    The copy gives what the network gives in inference, up to float32 rounding, in less time: TensorFlow fuses a
    convolution with its bias or with batch normalisation, but not with both. `benchmarks/folding.py` measures it.

    Args:
        model: any; one that is no graph of layers is given back as it is. Where a convolution does not compute in
            float32, its normalisation stays: the kernel would round to other values.

    Returns:
        A model of its own, with weights of its own. Training it would be training another network.
    """
    if not getattr(model, "inputs", None):
        return model
    model = keras.Model(model.inputs, model.outputs, name=model.name)  # Of a Sequential too.
    folded = {
        name: layer
        for name, layer in folded_normalizations(model).items()
        if model.get_layer(name).compute_dtype == "float32"
    }
    gone = {layer.name for layer in folded.values()}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        return type(layer).from_config({**config, "use_bias": True} if layer.name in folded else config)

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        return args[0] if layer.name in gone else layer(*args, **kwargs)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in copy.layers:
        if not layer.weights:
            continue
        of_model = model.get_layer(layer.name)
        weights = folded_into(of_model, folded[layer.name]) if layer.name in folded else of_model.get_weights()
        layer.set_weights(weights)
    return copy


def folded_normalizations(model: keras.Model) -> dict[str, keras.Layer]:
    """The batch normalisation that alone follows a convolution, by the convolution's name."""
    calls = list(_compat.calls(model))
    called = Counter(call.operation.name for call in calls)
    uses = Counter(_compat.maker(tensor).name for call in calls for tensor in call.input_tensors)
    uses.update(_compat.maker(tensor).name for tensor in model.outputs)
    found = {}
    for call in calls:
        layer = call.operation
        if isinstance(layer, layers.BatchNormalization) and layer.axis in (-1, 3):
            before = _compat.maker(call.input_tensors[0])
            is_linear = getattr(before, "activation", None) is keras.activations.linear
            once = called[layer.name] == called[before.name] == uses[before.name] == 1
            if isinstance(before, CONVOLUTIONS) and is_linear and once:
                found[before.name] = layer
    return found


def folded_into(layer: keras.Layer, normalization: keras.Layer) -> list[np.ndarray]:
    """Kernel and bias, float32, of a convolution that does what it and the normalisation behind it do in inference."""
    kernel = _float64(layer.kernel)
    outputs = normalization.moving_mean.shape[0]
    gamma = _float64(normalization.gamma) if normalization.scale else np.ones(outputs)
    beta = _float64(normalization.beta) if normalization.center else np.zeros(outputs)
    bias = _float64(layer.bias) if layer.use_bias else np.zeros(outputs)
    scale = gamma / np.sqrt(_float64(normalization.moving_variance) + normalization.epsilon)
    if isinstance(layer, layers.DepthwiseConv2D):  # (height, width, inputs, multiplier)
        kernel *= scale.reshape(kernel.shape[2:])
    elif isinstance(layer, layers.Conv2DTranspose):  # (height, width, outputs, inputs)
        kernel *= scale[:, np.newaxis]
    else:  # (height, width, inputs, outputs)
        kernel *= scale
    bias = (bias - _float64(normalization.moving_mean)) * scale + beta
    return [kernel.astype(np.float32), bias.astype(np.float32)]


def _float64(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


__all__ = ["CONVOLUTIONS", "fold_batch_normalization", "folded_into", "folded_normalizations"]
