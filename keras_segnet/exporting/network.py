"""The network that is exported: in float32, under TensorFlow."""

from __future__ import annotations

import keras

from keras_segnet.errors import InputError


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


def size_of(model: keras.Model, input_size: tuple[int, int] | None, wanted_by: str) -> tuple[int, int]:
    """Height and width of an exported file's input: those that are asked for, else the model's.

    Args:
        model: the network.
        input_size: what is asked for, or None.
        wanted_by: what needs a size, for messages.

    Raises:
        InputError: the model takes any size and none is asked for, or it has one and another is asked for.
    """
    height, width = model.input_shape[1:3]
    if input_size is None:
        if None in (height, width):
            raise InputError(
                f"the model {model.name} takes images of any size; {wanted_by} needs one: give `input_size`."
            )
        return height, width
    if not (height in (None, input_size[0]) and width in (None, input_size[1])):
        raise InputError(
            f"`input_size` {input_size[0]}x{input_size[1]} is not the size of {model.name}, {height or 'any'}x"
            f"{width or 'any'}; only a network that was built for any size can be given one."
        )
    return input_size
