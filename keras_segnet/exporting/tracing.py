"""A network as a TensorFlow graph in portable ops, from which all converters start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_segnet.exporting.deconvolution import with_deconvolutions_as_convolutions
from keras_segnet.exporting.heads import without_softmax
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D, arithmetic_encoding
from keras_segnet.layers.pooling import Encoding
from keras_segnet.layers.quantized_encoding import QuantizedEncoding


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
        int8_steps: for a graph that will be quantised to int8 after tracing: by name of a pooling layer, the difference
            of neighbouring int8 values of its input. Default None: no graph of this kind.
    """
    import tensorflow as tf

    original = without_softmax(model)

    def encoding_of(layer: keras.Layer) -> Encoding:
        return arithmetic_encoding if int8_steps is None else QuantizedEncoding(int8_steps.get(layer.name))

    network = with_encodings(with_deconvolutions_as_convolutions(original), encoding_of)
    # As constants, so that converters fold batch normalisation into the convolutions.
    weights = [[tf.constant(variable.numpy()) for variable in variables]
               for variables in (original.trainable_variables, original.non_trainable_variables)]  # fmt: skip

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")], autograph=False)
    def predict(image: Any) -> Any:
        return {head: finish(network.stateless_call(*weights, image, training=False)[0])}

    return predict.get_concrete_function()


def with_encodings(model: keras.Model, encoding_of: Callable[[keras.Layer], Encoding]) -> keras.Model:
    """A copy whose pooling and unpooling layers have other encodings; its weights have the order and shapes of `model`.

    Runtimes on the edge have no op for positions, and slow ones for comparisons.
    """

    def clone(layer: keras.Layer) -> keras.Layer:
        copy = type(layer).from_config(layer.get_config())
        if isinstance(copy, (MaxPoolingWithArgmax2D, MaxUnpooling2D)):
            copy.encoding = encoding_of(layer)
        return copy

    return keras.models.clone_model(model, clone_function=clone, recursive=True)
