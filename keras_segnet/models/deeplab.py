"""DeepLab v1 and v2: VGG16 with atrous convolutions, at an eighth of the input's size (arXiv 1412.7062 and 1606.00915).

As released, they have no batch normalisation. Their windows of stride 2 are centred on every second pixel, so score `i`
belongs to pixel `8 * i`, and there interpolation puts it. The original takes inputs of 8k + 1 pixels for that; here it
holds at any size. (At other sizes, Caffe rounds up to one more score, of a window beyond the image.)
"""

from __future__ import annotations

from typing import Any

from keras import layers

from keras_segnet.errors import InputError
from keras_segnet.layers import InterpolateLike
from keras_segnet.models import blocks
from keras_segnet.models.registry import network
from keras_segnet.models.vgg16 import FILTERS, VGG16

OUTPUT_STRIDE = 8


@network(
    source="arXiv 1412.7062; DeepLab-LargeFOV/train.prototxt; SegNet, Table 6 (83 MB)",
    summary="VGG16 at an eighth of the size, fc6 of rate 12, bilinear interpolation",
    published=20.75,
    encoder=VGG16,
)
def deeplab_largefov(
    colours: Any, num_classes: int, width: float, *, dropout: float = 0.5, multi_scale: bool = False
) -> Any:
    """DeepLab-LargeFOV (v1) as released, without its CRF: the "large field of view" is fc6's, by its rate of 12.

    With 11 classes it has 20,495,179 parameters, 82.0 MB (Table 6 of SegNet: 83). Weights of VGG16 start its 13
    convolutions; the original took fc6 and fc7 from it, too.

    Args:
        dropout: rate of dropout after fc6 and fc7, and after the layers that `multi_scale` adds. Default 0.5, as
            released.
        multi_scale: whether the image and the first four poolings have scores of their own, from a 3x3 and a 1x1
            convolution of 128, which are added to the others at the input's size (section 4.3; "MSc"). Default False.
    """
    pooled = _atrous_vgg16(colours, width)
    x = layers.AveragePooling2D(3, 1, padding="same", data_format="channels_last", name="pool5a")(pooled[-1])
    x = _field_of_view(x, 12, num_classes, width, dropout)
    scores = _interpolate(x, OUTPUT_STRIDE, colours, "fc8_interp")

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
            direct.append(_interpolate(x, stride, colours, f"{source}_interp"))
        scores = layers.Add(dtype="float32", name="fc_fusion")([*direct, scores])

    return scores


@network(
    source="arXiv 1606.00915, section 3.2; DeepLabv2_VGG16/train.prototxt",
    summary="VGG16 at an eighth of the size, four atrous branches (ASPP-L)",
    encoder=VGG16,
)
def deeplab_v2(
    colours: Any, num_classes: int, width: float, *, dropout: float = 0.5, rates: tuple[int, ...] = (6, 12, 18, 24)
) -> Any:
    """DeepLab v2 on VGG16 with atrous spatial pyramid pooling ("ASPP-L"), as released, without its CRF.

    Four branches of LargeFOV's fc6, fc7 and fc8, of different rates, whose scores are added. With 11 classes it has
    37,836,652 parameters.

    Args:
        dropout: rate of dropout after each fc6 and fc7. Default 0.5, as released.
        rates: of fc6, one a branch. Default: ASPP-L's; the paper's ASPP-S has (2, 4, 8, 12).
    """
    if len(rates) < 2 or not all(isinstance(rate, int) and rate > 0 for rate in rates):
        raise InputError(f"rates must be two or more positive ints, not {rates!r}.")

    *_, pool5 = _atrous_vgg16(colours, width)
    branches = [
        _field_of_view(pool5, rate, num_classes, width, dropout, f"_{i}") for i, rate in enumerate(rates, start=1)
    ]
    x = layers.Add(name="fc8")(branches)
    return _interpolate(x, OUTPUT_STRIDE, colours, "fc8_interp")


def _atrous_vgg16(x: Any, width: float) -> list[Any]:
    """What each of VGG16's five stages pools, where the last two poolings do not shrink and stage 5 has rate 2."""
    pooled = []
    for stage, filters in enumerate(FILTERS, start=1):
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
