"""A slim SegNet for phones and small boards, of this project: docs/segnet_edge.md says how it was chosen."""

from __future__ import annotations

from typing import Any

from keras import layers

from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks
from keras_segnet.models.registry import network

FILTERS = (32, 64, 128, 192, 192)
"""Channels of the five stages: multiples of 8, which int8 kernels and GPUs compute in."""

ENCODER_UNITS = (1, 2, 3, 3, 2)
DECODER_UNITS = (1, 1, 1, 2)


def residual_unit(x: Any, filters: int, name: str) -> Any:
    """Two 3x3 convolutions to whose result the input is added; one, without the input, where the channels change."""
    if x.shape[-1] != filters:
        return blocks.convolution(x, filters, 3, name)
    y = blocks.convolution(x, filters, 3, f"{name}a")
    y = blocks.convolution(y, filters, 3, f"{name}b", relu=False)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


@network(
    source="this project, docs/segnet_edge.md",
    summary="a slim SegNet for phones: residual units behind a stride of 2, pooling indices",
)
def segnet_edge(x: Any, num_classes: int, width: float) -> Any:
    """A slim SegNet whose int8 file suits two CPU cores: true pooling indices, a fifth of SegNet's parameters.

    A 3x3 convolution of stride 2, so that the widest maps have a quarter of the image's pixels; five stages of residual
    units of 3x3 convolutions, four poolings with indices; in the decoder a 1x1 convolution to the channels of the stage
    above, unpooling, the sum with the encoder's maps (SegNet-Basic-EncoderAddition, Table 1), residual units. The
    scores are computed at half the size and interpolated bilinearly. All of it is what int8 kernels and GPUs are good
    at: no dilation, and no depthwise convolution but those of the indices. Products of `width` and the channels should
    be multiples of 8.
    """
    colours = x
    x = blocks.convolution(x, blocks.scaled(16, width), 3, "stem", strides=2)

    pooled = []
    for stage, (filters, units) in enumerate(zip(FILTERS, ENCODER_UNITS, strict=True), start=1):
        for i in range(1, units + 1):
            x = residual_unit(x, blocks.scaled(filters, width), f"conv{stage}_{i}")
        if stage < len(FILTERS):
            before_pooling = x
            x, indices = MaxPoolingWithArgmax2D(name=f"pool{stage}")(x)
            pooled.append((before_pooling, indices))

    for stage in range(len(pooled), 0, -1):
        before_pooling, indices = pooled[stage - 1]
        if x.shape[-1] != before_pooling.shape[-1]:
            x = blocks.convolution(x, before_pooling.shape[-1], 1, f"reduce{stage}")
        x = MaxUnpooling2D(name=f"upsample{stage}")(x, indices, like=before_pooling)
        x = layers.Add(name=f"upsample{stage}_add")([x, before_pooling])
        for i in range(DECODER_UNITS[stage - 1], 0, -1):
            x = residual_unit(x, x.shape[-1], f"conv{stage}_{i}_D")
    x = blocks.scores(x, num_classes, "classifier")
    return blocks.bilinear_upsampling(x, 2, "upsample0", like=colours)
