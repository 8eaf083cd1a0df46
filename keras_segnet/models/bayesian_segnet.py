"""Bayesian SegNet (arXiv 1511.02680): SegNet with dropout in its deep layers, which prediction samples from.

Keras drops nothing at prediction. Whoever wants samples calls the dropout layers as in training.
"""

from __future__ import annotations

import functools

from keras_segnet.models.registry import network
from keras_segnet.models.segnet import segnet
from keras_segnet.models.segnet_basic import decode_as_segnet, wire
from keras_segnet.models.vgg16 import VGG16

RATE = 0.5
"""Dropout rate, as released."""

network(
    name="bayesian_segnet",
    source="arXiv 1511.02680; bayesian_segnet_train.prototxt",
    summary="segnet with dropout in its deep layers, to sample from",
    published=29.45,
    encoder=VGG16,
    doc="""Bayesian SegNet as in bayesian_segnet_train.prototxt.

    SegNet with dropout after pool3, pool4 and pool5 and after conv5_1_D, conv4_1_D and conv3_1_D.

    Args:
        dropout: rate of dropout. Default 0.5, as released.
    """,
)(functools.partial(segnet, dropout=RATE))

network(
    name="bayesian_segnet_basic",
    source="arXiv 1511.02680; bayesian_segnet_basic_train.prototxt",
    summary="segnet_basic with dropout in its deep layers, to sample from",
    published=1.425,
    preprocessing="lrn",
    doc="""Bayesian SegNet-Basic as in bayesian_segnet_basic_train.prototxt.

    SegNet-Basic with dropout after pool3 and pool4 and after the batch normalisation of conv_decode4 and conv_decode3.

    Args:
        dropout: rate of dropout. Default 0.5, as released.
    """,
)(functools.partial(wire, decode_as_segnet, dropout=RATE))
