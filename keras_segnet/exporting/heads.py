"""What an exported file gives for each pixel: probabilities, logits, or the class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_segnet import _compat
from keras_segnet.catalogue import HEADS
from keras_segnet.errors import refuse_unknown
from keras_segnet.models.graph import ends_in_softmax


def without_softmax(model: keras.Model) -> keras.Model:
    """The network up to its logits: `model` cut before a softmax at its end, or `model` itself if there is none."""
    if not ends_in_softmax(model):
        return model
    last = _compat.maker(model.outputs[0])
    if not last.weights:
        return keras.Model(model.input, last.input, name=model.name)
    linear = type(last).from_config({**last.get_config(), "activation": None})
    logits = keras.Model(model.input, linear(last.input), name=model.name)
    linear.set_weights(last.get_weights())
    return logits


def head(name: str) -> Callable[[Any], Any]:
    """The function that takes logits to what the head gives. An InputError unless `name` is one of `HEADS`."""
    import tensorflow as tf

    refuse_unknown("head", name, HEADS)
    return {
        "probabilities": tf.nn.softmax,
        "logits": tf.identity,
        "class_map": lambda logits: tf.argmax(logits, axis=-1, output_type=tf.int32),
    }[name]
