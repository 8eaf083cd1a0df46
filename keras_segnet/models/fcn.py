"""FCN: VGG16 made fully convolutional, with skips (Long, Shelhamer and Darrell, arXiv 1411.4038), a rival in Table 3.

FCN-32s upsamples the deepest scores at once; FCN-16s adds scores of pool4 on the way, FCN-8s those of pool3 too. As in
the original, there is no batch normalisation, and upsampling is a deconvolution that starts as bilinear interpolation
and is trained ("learnt deconvolution" in the paper's tables). Parameters are the original's, with 11 classes:

| network | parameters | the same in float32 |
|---|---|---|
| FCN-32s | 134,801,227 | 539.2 MB |
| FCN-16s | 134,437,094 | 537.7 MB |
| FCN-8s | 134,348,929 | 537.4 MB |

(Table 6 of the SegNet paper: 539 MB.) One thing differs: the original pads the image by 100 pixels at conv1_1 so that
fc6 has enough to see, and crops the scores by offsets. Here all convolutions have padding "same" and each map is cut to
the size of what it is added to, which needs no offsets, suits any size and saves the arithmetic on the padding.

Exported files hold its deconvolutions of strides above 2 as convolutions: `keras_segnet.exporting.deconvolution`.
"""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import layers

from keras_segnet.models import blocks
from keras_segnet.models.vgg16 import FILTERS, check_vgg16_start, load_vgg16

FULLY_CONNECTED = 4096


def encode(image: Any, preprocessing: str | None, width: float, dropout: float) -> tuple[Any, dict[str, Any]]:
    """VGG16 with fc6 and fc7 as convolutions: the maps of fc7, and those behind each pooling by name."""
    x = blocks.normalize_colours(image, preprocessing)
    pooled = {}
    for stage, filters in enumerate(FILTERS, start=1):
        for i, channels in enumerate(filters, start=1):
            x = blocks.plain_convolution(x, blocks.scaled(channels, width), 3, f"conv{stage}_{i}")
        x = layers.MaxPooling2D(2, padding="same", data_format="channels_last", name=f"pool{stage}")(x)
        pooled[f"pool{stage}"] = x
    for number, kernel_size in ((6, 7), (7, 1)):
        x = blocks.plain_convolution(x, blocks.scaled(FULLY_CONNECTED, width), kernel_size, f"fc{number}")
        if dropout:
            x = layers.Dropout(dropout, name=f"drop{number}")(x)
    return x, pooled


def finish(
    image: Any, x: Any, classifier_activation: str | None, weights: str | os.PathLike[str] | None, name: str
) -> keras.Model:
    """The model from image to scores `x`, started from VGG16 if `weights` are given."""
    model = keras.Model(image, blocks.probabilities(x, classifier_activation), name=name)
    if weights is not None:
        load_vgg16(model, weights)
    return model


def build_fcn_32s(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = 0.5,
    name: str = "fcn_32s",
) -> keras.Model:
    """FCN-32s as in voc-fcn32s, but for the padding; see the module. Layers are named as released.

    Input: RGB in 0..255, `(batch, height, width, 3)`, any height and width. Output: float32
    `(batch, height, width, num_classes)`.

    Args:
        num_classes: classes to tell apart, without an ignored one. Default 11, CamVid's.
        input_shape: `(height, width, 3)`; None for a height or width that varies. Default: the paper's 360x480.
        width: factor on all channel counts but those of the scores. Default 1.0.
        weights: None for He initial weights (default); `"imagenet"` to start the 13 convolutions from
            `keras.applications.VGG16` (downloads it); or the path of an .npz with them, see
            `keras_segnet.models.vgg16`. The last two need width 1 and preprocessing "imagenet".
        classifier_activation: `"softmax"` (default) or None for logits.
        preprocessing: what the model does to colours first: `"imagenet"` (default), `"lrn"` or None.
        dropout: rate of dropout after fc6 and fc7. Default 0.5, the original's.
        name: of the model.

    Raises:
        ValueError: an argument is not one of the above, or the weights do not fit the network.
        FileNotFoundError: there is no file at `weights`.
    """
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    check_vgg16_start(weights, width, preprocessing)
    image = blocks.image_input(input_shape)
    x, _ = encode(image, preprocessing, width, dropout)

    x = blocks.scores(x, num_classes, "score_fr")
    x = blocks.deconvolution(x, 64, 32, "upscore", like=image)
    return finish(image, x, classifier_activation, weights, name)


def build_fcn_16s(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = 0.5,
    name: str = "fcn_16s",
) -> keras.Model:
    """FCN-16s as in voc-fcn16s, but for the padding; see the module. Arguments: those of `build_fcn_32s`."""
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    check_vgg16_start(weights, width, preprocessing)
    image = blocks.image_input(input_shape)
    x, pooled = encode(image, preprocessing, width, dropout)

    x = blocks.scores(x, num_classes, "score_fr")
    x = blocks.deconvolution(x, 4, 2, "upscore2", like=pooled["pool4"])
    x = layers.Add(name="fuse_pool4")([x, blocks.scores(pooled["pool4"], num_classes, "score_pool4")])
    x = blocks.deconvolution(x, 32, 16, "upscore16", like=image)
    return finish(image, x, classifier_activation, weights, name)


def build_fcn_8s(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = 0.5,
    name: str = "fcn_8s",
) -> keras.Model:
    """FCN-8s as in voc-fcn8s, but for the padding; see the module. Arguments: those of `build_fcn_32s`."""
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    check_vgg16_start(weights, width, preprocessing)
    image = blocks.image_input(input_shape)
    x, pooled = encode(image, preprocessing, width, dropout)

    x = blocks.scores(x, num_classes, "score_fr")
    x = blocks.deconvolution(x, 4, 2, "upscore2", like=pooled["pool4"])
    x = layers.Add(name="fuse_pool4")([x, blocks.scores(pooled["pool4"], num_classes, "score_pool4")])
    x = blocks.deconvolution(x, 4, 2, "upscore_pool4", like=pooled["pool3"])
    x = layers.Add(name="fuse_pool3")([x, blocks.scores(pooled["pool3"], num_classes, "score_pool3")])
    x = blocks.deconvolution(x, 16, 8, "upscore8", like=image)
    return finish(image, x, classifier_activation, weights, name)
