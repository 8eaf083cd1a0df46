"""What an exported file gives for each pixel: probabilities, logits, or the class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_segnet import _compat
from keras_segnet.errors import InputError

HEADS = ("probabilities", "logits", "class_map")
"""The choices. `class_map` picks the best class on the device, `logits` leaves softmax and choice to the caller."""


def without_softmax(model: keras.Model) -> keras.Model:
    """The network up to its logits: `model` cut before a softmax at its end, or `model` itself if there is none."""
    (output,) = model.outputs
    last = _compat.maker(output)
    is_softmax = isinstance(last, keras.layers.Softmax) or (
        isinstance(last, keras.layers.Activation) and last.activation is keras.activations.softmax
    )
    return keras.Model(model.input, last.input, name=model.name) if is_softmax else model


def head(name: str) -> Callable[[Any], Any]:
    """The function that takes logits to what the head gives. An InputError unless `name` is one of `HEADS`."""
    import tensorflow as tf

    if name not in HEADS:
        raise InputError(f"head must be one of {', '.join(HEADS)}; not {name!r}.")
    return {
        "probabilities": tf.nn.softmax,
        "logits": tf.identity,
        "class_map": lambda logits: tf.argmax(logits, axis=-1, output_type=tf.int32),
    }[name]
