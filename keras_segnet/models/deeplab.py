"""DeepLab v1 and v2: VGG16 with atrous convolutions, at an eighth of the input's size (arXiv 1412.7062 and 1606.00915).

As released, they have no batch normalisation. Their windows of stride 2 are centred on every second pixel, so score `i`
belongs to pixel `8 * i`, and there interpolation puts it. The original takes inputs of 8k + 1 pixels for that; here it
holds at any size. (At other sizes, Caffe rounds up to one more score, of a window beyond the image.)
"""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import layers

from keras_segnet.layers import InterpolateLike
from keras_segnet.models import blocks, vgg16

OUTPUT_STRIDE = 8


def build_deeplab_largefov(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = 0.5,
    multi_scale: bool = False,
    name: str = "deeplab_largefov",
) -> keras.Model:
    """DeepLab-LargeFOV (v1) as released, without its CRF: the "large field of view" is fc6's, by its rate of 12.

    With 11 classes it has 20,495,179 parameters, 82.0 MB (Table 6 of SegNet: 83). Input: RGB in 0..255,
    `(batch, height, width, 3)`. Output: float32 `(batch, height, width, num_classes)`.

    Args:
        num_classes: classes to tell apart, without an ignored one. Default 11, CamVid's.
        input_shape: `(height, width, 3)`; None for a height or width that varies. Default: SegNet's 360x480.
        width: factor on all channel counts but the classifiers'. Default 1.0.
        weights: None for He initial weights (default); `"imagenet"` or the path of an .npz to start from VGG16's 13
            convolutions, see `keras_segnet.models.vgg16` (the original took fc6 and fc7 from VGG16, too).
        classifier_activation: `"softmax"` (default) or None for logits.
        preprocessing: what the model does to colours first: `"imagenet"` (default), `"lrn"` or None.
        dropout: rate of dropout after fc6 and fc7, and after the layers that `multi_scale` adds. Default 0.5, as
            released.
        multi_scale: whether the image and the first four poolings have scores of their own, from a 3x3 and a 1x1
            convolution of 128, which are added to the others at the input's size (section 4.3; "MSc"). Default False.
        name: of the model.

    Raises:
        ValueError: an argument is not one of the above, or the weights do not fit the network.
        FileNotFoundError: there is no file at `weights`.
    """
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    vgg16.check_vgg16_start(weights, width, preprocessing)

    image = blocks.image_input(input_shape)
    colours = blocks.normalize_colours(image, preprocessing)
    pooled = _atrous_vgg16(colours, width)
    x = layers.AveragePooling2D(3, 1, padding="same", data_format="channels_last", name="pool5a")(pooled[-1])
    x = _field_of_view(x, 12, num_classes, width, dropout)
    scores = _interpolate(x, OUTPUT_STRIDE, image, "fc8_interp")

    if multi_scale:
        channels = blocks.scaled(128, width)
        direct = []
        sources = zip(
            ("data", "pool1", "pool2", "pool3", "pool4"), (colours, *pooled[:4]), (1, 2, 4, 8, 8), strict=True
        )
        for source, x, stride in sources:
            x = blocks.dropped(
                blocks.plain_convolution(x, channels, 3, f"{source}_conv"), dropout, f"drop_{source}_conv"
            )
            x = blocks.dropped(blocks.plain_convolution(x, channels, 1, f"{source}_fc"), dropout, f"drop_{source}_fc")
            x = blocks.scores(x, num_classes, f"{source}_ms")
            direct.append(_interpolate(x, stride, image, f"{source}_interp"))
        scores = layers.Add(dtype="float32", name="fc_fusion")([*direct, scores])

    model = keras.Model(image, blocks.probabilities(scores, classifier_activation), name=name)
    if weights is not None:
        vgg16.load_vgg16(model, weights)
    return model


def build_deeplab_v2(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = 0.5,
    rates: tuple[int, ...] = (6, 12, 18, 24),
    name: str = "deeplab_v2",
) -> keras.Model:
    """DeepLab v2 on VGG16 with atrous spatial pyramid pooling ("ASPP-L"), as released, without its CRF.

    Four branches of LargeFOV's fc6, fc7 and fc8, of different rates, whose scores are added. With 11 classes it has
    37,836,652 parameters. Input: RGB in 0..255, `(batch, height, width, 3)`. Output: float32
    `(batch, height, width, num_classes)`.

    Args:
        rates: of fc6, one a branch. Default: ASPP-L's; the paper's ASPP-S has (2, 4, 8, 12).
        num_classes, input_shape, width, weights, classifier_activation, preprocessing, name: as in
            `build_deeplab_largefov`.
        dropout: rate of dropout after each fc6 and fc7. Default 0.5, as released.

    Raises:
        ValueError: an argument is not one of the above, or the weights do not fit the network.
        FileNotFoundError: there is no file at `weights`.
    """
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    vgg16.check_vgg16_start(weights, width, preprocessing)
    if len(rates) < 2 or not all(isinstance(rate, int) and rate > 0 for rate in rates):
        raise ValueError(f"rates must be two or more positive ints, not {rates!r}.")

    image = blocks.image_input(input_shape)
    *_, pool5 = _atrous_vgg16(blocks.normalize_colours(image, preprocessing), width)
    branches = [
        _field_of_view(pool5, rate, num_classes, width, dropout, f"_{i}") for i, rate in enumerate(rates, start=1)
    ]
    x = layers.Add(name="fc8")(branches)
    scores = _interpolate(x, OUTPUT_STRIDE, image, "fc8_interp")

    model = keras.Model(image, blocks.probabilities(scores, classifier_activation), name=name)
    if weights is not None:
        vgg16.load_vgg16(model, weights)
    return model


def _atrous_vgg16(x: Any, width: float) -> list[Any]:
    """What each of VGG16's five stages pools, where the last two poolings do not shrink and stage 5 has rate 2."""
    pooled = []
    for stage, filters in enumerate(vgg16.FILTERS, start=1):
        for i, channels in enumerate(filters, start=1):
            x = blocks.plain_convolution(
                x, blocks.scaled(channels, width), 3, f"conv{stage}_{i}", dilation_rate=2 if stage == 5 else 1
            )
        x = blocks.centred_max_pooling(x, 2 if stage <= 3 else 1, f"pool{stage}")
        pooled.append(x)
    return pooled


def _field_of_view(x: Any, rate: int, num_classes: int, width: float, dropout: float, branch: str = "") -> Any:
    """VGG16's fully connected layers as convolutions: fc6 of a rate, fc7, and the scores, fc8."""
    channels = blocks.scaled(1024, width)
    x = blocks.plain_convolution(x, channels, 3, f"fc6{branch}", dilation_rate=rate)
    x = blocks.dropped(x, dropout, f"drop6{branch}")
    x = blocks.plain_convolution(x, channels, 1, f"fc7{branch}")
    x = blocks.dropped(x, dropout, f"drop7{branch}")
    return blocks.scores(x, num_classes, f"fc8{branch}")


def _interpolate(scores: Any, factor: int, image: Any, name: str) -> Any:
    """Scores at the size of the image, in float32."""
    return InterpolateLike(factor, dtype="float32", name=name)(scores, like=image)
