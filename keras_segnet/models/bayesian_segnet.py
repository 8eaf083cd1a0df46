"""Bayesian SegNet (arXiv 1511.02680): SegNet with dropout in its deep layers, which prediction samples from.

Keras drops nothing at prediction. Whoever wants samples calls the dropout layers as in training.
"""

from __future__ import annotations

import os

import keras

from keras_segnet.models.segnet import build_segnet
from keras_segnet.models.segnet_basic import build_segnet_basic

RATE = 0.5
"""Of dropout, as released."""


def build_bayesian_segnet(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = RATE,
    name: str = "bayesian_segnet",
) -> keras.Model:
    """Bayesian SegNet as in bayesian_segnet_train.prototxt.

    SegNet with dropout after pool3, pool4 and pool5 and after conv5_1_D, conv4_1_D and conv3_1_D. Arguments: those of
    `build_segnet`, but for `dropout`, whose default is the released rate of 0.5.
    """
    return build_segnet(
        num_classes,
        input_shape,
        width=width,
        weights=weights,
        classifier_activation=classifier_activation,
        preprocessing=preprocessing,
        dropout=dropout,
        name=name,
    )


def build_bayesian_segnet_basic(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    dropout: float = RATE,
    name: str = "bayesian_segnet_basic",
) -> keras.Model:
    """Bayesian SegNet-Basic as in bayesian_segnet_basic_train.prototxt.

    SegNet-Basic with dropout after pool3 and pool4 and after the batch normalisation of conv_decode4 and conv_decode3.
    Arguments: those of `build_segnet_basic`, but for `dropout`, whose default is the released rate of 0.5.
    """
    return build_segnet_basic(
        num_classes,
        input_shape,
        width=width,
        classifier_activation=classifier_activation,
        preprocessing=preprocessing,
        dropout=dropout,
        name=name,
    )
