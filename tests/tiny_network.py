"""One stage of a SegNet, quick to trace, for tests of what happens around a network."""

import functools

from keras import layers

from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks, network


def register():
    """Gives the registry two networks more: `tiny`, which has all that has a state, and `tiny_without_dropout`."""
    for name, dropout in (("tiny", 0.2), ("tiny_without_dropout", 0.0)):
        network(name=name, summary="one stage", source="tests")(functools.partial(wire, dropout=dropout))


def wire(x, num_classes, width, *, dropout):
    """Scores of one encoder and one decoder."""
    before_pooling = blocks.convolution(x, blocks.scaled(8, width), 3, "conv1")
    x, indices = MaxPoolingWithArgmax2D(name="pool1")(before_pooling)
    x = layers.Dropout(dropout, name="drop1")(x)
    x = blocks.convolution(x, blocks.scaled(8, width), 3, "conv2")
    x = MaxUnpooling2D(name="upsample1")(x, indices, like=before_pooling)
    return blocks.scores(x, num_classes, "conv_classifier", 3)
