"""U-Net: an encoder whose whole maps its decoder concatenates (arXiv 1505.04597)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from keras_segnet.layers import CropLike
from keras_segnet.models import blocks
from keras_segnet.models.registry import network

FILTERS = (64, 128, 256, 512, 1024)


@network(
    source="arXiv 1505.04597, figure 1; phseg_v5.prototxt",
    summary="five levels whose whole maps the decoder concatenates",
)
def unet(x: Any, num_classes: int, width: float, *, dropout: float = 0.5, batch_normalization: bool = True) -> Any:
    """U-Net as in the paper's figure 1, layers named as in the released phseg_v5.prototxt.

    With 11 classes it has 31,032,395 weights and biases in its convolutions (the paper's net for grey images and two
    classes: 31,030,658).

    Its convolutions pad, so that nothing is cropped but the last row or column that an up-convolution adds to an odd
    size; the original does not pad and segments the middle of its input only.

    Args:
        dropout: rate of dropout at the end of the two lowest levels. Default 0.5, as released.
        batch_normalization: whether it follows each 3x3 convolution. Default True, as the networks have it that this
            one is compared with; the paper, of 2015, is without.
    """
    convolution: Callable[..., Any] = blocks.convolution if batch_normalization else blocks.plain_convolution
    filters = [blocks.scaled(channels, width) for channels in FILTERS]
    lowest = len(filters) - 1

    skipped = []
    for level, channels in enumerate(filters):
        x = convolution(x, channels, 3, f"conv_d{level}a-b")
        x = convolution(x, channels, 3, f"conv_d{level}b-c")
        if level >= lowest - 1:
            x = blocks.dropped(x, dropout, f"dropout_d{level}c")
        if level < lowest:
            skipped.append(x)
            x = layers.MaxPooling2D(
                2, padding="same", data_format="channels_last", name=f"pool_d{level}c-{level + 1}a"
            )(x)

    for level in reversed(range(lowest)):
        below = f"d{level + 1}c" if level == lowest - 1 else f"u{level + 1}d"
        x = layers.Conv2DTranspose(
            filters[level],
            2,
            strides=2,
            data_format="channels_last",
            kernel_initializer="he_normal",
            name=f"upconv_{below}_u{level}a",
        )(x)
        x = CropLike(name=f"crop_u{level}a")(x, like=skipped[level])
        x = layers.Concatenate(name=f"concat_d{level}cc_u{level}a-b")([skipped[level], x])
        x = convolution(x, filters[level], 3, f"conv_u{level}b-c")
        x = convolution(x, filters[level], 3, f"conv_u{level}c-d")
    return blocks.scores(x, num_classes, "conv_u0d-score")
