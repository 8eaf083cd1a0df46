"""SegNet: the encoder of VGG16, its mirror as decoder, and max-pooling indices between them (arXiv 1511.00561)."""

from __future__ import annotations

from typing import Any

from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks
from keras_segnet.models.registry import network
from keras_segnet.models.vgg16 import FILTERS, VGG16

# Filters of the convolutions of each stage, in the order in which an image meets them. The decoder's channels drop at
# the last convolution of a stage, and its very last one is the classifier.
ENCODER = FILTERS
DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))


@network(
    source="SegNet, Table 6 (117 MB); segnet_train.prototxt",
    summary="VGG16's 13 convolutions, their mirror, pooling indices",
    published=29.45,
    encoder=VGG16,
)
def segnet(x: Any, num_classes: int, width: float, *, dropout: float = 0.0) -> Any:
    """SegNet as in segnet_train.prototxt: 26 convolutions, five poolings with indices, layers named as released.

    With 11 classes it has 29,449,355 trainable parameters; of width 0.25, it trains on a CPU. The released SegNet feeds
    raw colours, without normalisation.

    Args:
        dropout: rate of dropout after pool3 to pool5 and after conv5_1_D, conv4_1_D and conv3_1_D, where
            bayesian_segnet_train.prototxt has it. Default 0: none.
    """
    pooled = []
    for stage, filters in enumerate(ENCODER, start=1):
        for i, channels in enumerate(filters, start=1):
            x = blocks.convolution(x, blocks.scaled(channels, width), 3, f"conv{stage}_{i}")
        before_pooling = x
        x, indices = MaxPoolingWithArgmax2D(name=f"pool{stage}")(x)
        pooled.append((before_pooling, indices))
        if stage >= 3:
            x = blocks.dropped(x, dropout, f"encdrop{stage}")

    for stage, filters in zip((5, 4, 3, 2, 1), DECODER, strict=True):
        before_pooling, indices = pooled[stage - 1]
        x = MaxUnpooling2D(name=f"upsample{stage}")(x, indices, like=before_pooling)
        number = len(ENCODER[stage - 1])
        for channels in filters:
            x = blocks.convolution(x, blocks.scaled(channels, width), 3, f"conv{stage}_{number}_D")
            if stage >= 3 and number == 1:
                x = blocks.dropped(x, dropout, f"decdrop{stage}")
            number -= 1
    return blocks.scores(x, num_classes, "conv1_1_D", 3)
