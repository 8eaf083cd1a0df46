"""One stage of a SegNet, quick to trace, for tests of what happens around a network."""

import functools

import keras
from keras import layers

from keras_segnet import models
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks


def register():
    """Gives the registry two networks more: `tiny`, which has all that has a state, and `tiny_without_dropout`."""
    for name, dropout in (("tiny", 0.2), ("tiny_without_dropout", 0.0)):
        models.NETWORKS[name] = models.Network(name, functools.partial(build, dropout=dropout), "one stage", "tests")


def build(num_classes, input_shape, *, width, dropout):
    """A network with the options that a run gives, and a rate of dropout."""
    image = blocks.image_input(input_shape)
    x = blocks.normalize_colours(image, "imagenet")
    before_pooling = blocks.convolution(x, blocks.scaled(8, width), 3, "conv1")
    x, indices = MaxPoolingWithArgmax2D(name="pool1")(before_pooling)
    x = layers.Dropout(dropout, name="drop1")(x)
    x = blocks.convolution(x, blocks.scaled(8, width), 3, "conv2")
    x = MaxUnpooling2D(name="upsample1")(x, indices, like=before_pooling)
    return keras.Model(image, blocks.classifier(x, num_classes, 3, "conv_classifier", "softmax"), name="tiny")
