"""The network that is exported: in float32, under TensorFlow."""

from __future__ import annotations

import keras


def require_tensorflow() -> None:
    """Raises a RuntimeError unless Keras runs on TensorFlow, the backend that exports."""
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            f"exporting needs the TensorFlow backend, and Keras runs on {keras.backend.backend()}; "
            "set KERAS_BACKEND=tensorflow."
        )


def in_float32(model: keras.Model) -> keras.Model:
    """The network with all of its layers in float32: `model` if they are.

    Trained under Keras's policy `mixed_float16` or `mixed_bfloat16`, the weights are float32 all the same.
    """
    if all(layer.dtype_policy.name == "float32" for layer in model.layers):
        return model

    def clone(layer: keras.Layer) -> keras.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "float32"})

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
