"""DeepLab v3: ResNet-50, and parallel atrous convolutions beside a feature of the whole image (arXiv 1706.05587)."""

from __future__ import annotations

from typing import Any

from keras import layers

from keras_segnet.errors import InputError
from keras_segnet.layers import BroadcastLike, InterpolateLike
from keras_segnet.models import blocks, resnet50
from keras_segnet.models.registry import network

FILTERS = 256


@network(
    source="arXiv 1706.05587, section 3.3; research/deeplab/model.py",
    summary="ResNet-50 at a sixteenth of the size, atrous branches, image-level feature",
    encoder=resnet50.RESNET50,
)
def deeplab_v3(
    colours: Any, num_classes: int, width: float, *, dropout: float = 0.1, rates: tuple[int, ...] = (6, 12, 18)
) -> Any:
    """DeepLab v3 of section 3.3 on ResNet-50, output stride 16, layers named as in the released model.py.

    The paper's results are mostly ResNet-101's; ResNet-50 is the smaller of its two. With 11 classes it has 39,074,059
    trainable parameters.

    Args:
        dropout: rate of dropout before the classifier. Default 0.1, as released.
        rates: of the atrous convolutions. Default: the paper's for output stride 16.
    """
    if not rates or not all(isinstance(rate, int) and rate > 0 for rate in rates):
        raise InputError(f"rates must be positive ints, not {rates!r}.")
    filters = blocks.scaled(FILTERS, width)

    x = resnet50.atrous_resnet50(colours, width)

    whole = layers.GlobalAveragePooling2D(keepdims=True, data_format="channels_last", name="global_pool")(x)
    whole = blocks.convolution(whole, filters, 1, "image_pooling")
    branches = [
        BroadcastLike(name="image_pooling_broadcast")(whole, like=x),
        blocks.convolution(x, filters, 1, "aspp0"),
        *(blocks.convolution(x, filters, 3, f"aspp{i}", dilation_rate=rate) for i, rate in enumerate(rates, start=1)),
    ]
    x = layers.Concatenate(name="concat")(branches)
    x = blocks.convolution(x, filters, 1, "concat_projection")
    x = blocks.dropped(x, dropout, "concat_projection_dropout")
    x = blocks.scores(x, num_classes, "semantic")
    return InterpolateLike(resnet50.OUTPUT_STRIDE, dtype="float32", name="semantic_interp")(x, like=colours)
