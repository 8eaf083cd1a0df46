"""A network as a TensorFlow graph in portable ops, from which all converters start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_segnet.exporting.deconvolution import with_deconvolutions_as_convolutions
from keras_segnet.exporting.heads import without_softmax
from keras_segnet.layers import portable_indices


def trace(
    model: keras.Model,
    shape: tuple[int | None, int, int, int],
    head: str,
    finish: Callable[[Any], Any],
    int8_steps: Mapping[str, float] | None = None,
) -> Any:
    """The concrete function of a network with its weights as constants: from `image`, float32 RGB 0..255, to a head.

    Args:
        model: a network of this library.
        shape: of the image, `(batch, height, width, 3)`; a batch of None may be of any size.
        head: name of what comes out.
        finish: takes logits to that; see `keras_segnet.exporting.heads.head`.
        int8_steps: see `portable_indices`.
    """
    import tensorflow as tf

    original = without_softmax(model)
    network = with_deconvolutions_as_convolutions(original)
    # As constants, so that converters fold batch normalisation into the convolutions.
    weights = [[tf.constant(variable.numpy()) for variable in variables]
               for variables in (original.trainable_variables, original.non_trainable_variables)]  # fmt: skip

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")], autograph=False)
    def predict(image: Any) -> Any:
        with portable_indices(int8_steps):
            return {head: finish(network.stateless_call(*weights, image, training=False)[0])}

    return predict.get_concrete_function()
