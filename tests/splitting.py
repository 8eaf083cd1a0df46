"""A network that unpools, as an encoder and a decoder."""

import keras

from keras_segnet import _compat
from keras_segnet.layers import MaxPoolingWithArgmax2D


def pools_with_indices(model):
    return any(isinstance(layer, MaxPoolingWithArgmax2D) for layer in model.layers)


def split(model):
    """Two models: up to the last pooling, giving all that layers behind it take from there; and those layers."""
    calls = list(_compat.calls(model))
    *_, deepest = (call for call in calls if isinstance(call.operation, MaxPoolingWithArgmax2D))
    known = {id(tensor) for tensor in deepest.output_tensors}
    encoder = []
    for call in reversed(calls):
        if any(id(tensor) in known for tensor in call.output_tensors):
            encoder.append(call)
            known |= {id(tensor) for tensor in (*call.output_tensors, *call.input_tensors)}
    taken = {
        id(tensor): tensor
        for call in calls
        if call not in encoder
        for tensor in call.input_tensors
        if id(tensor) in known
    }
    handed_over = list(taken.values())
    return keras.Model(model.input, handed_over), keras.Model(handed_over, model.output)
