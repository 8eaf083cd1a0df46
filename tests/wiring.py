"""What a network's graph looks like, for tests of how it is wired."""

import keras


def convolutions(model):
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]


def sources(model, name):
    """Where the inputs of a layer come from: `(layer, number of its output)` each."""
    inputs = model.get_layer(name).input
    inputs = inputs if isinstance(inputs, list) else [inputs]
    return [(x._keras_history.operation.name, x._keras_history.tensor_index) for x in inputs]
