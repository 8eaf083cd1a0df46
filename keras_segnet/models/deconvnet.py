"""DeconvNet: VGG16 with its fully connected layers, and the mirror of all of it (arXiv 1505.04366)."""

from __future__ import annotations

from typing import Any

from keras import layers

from keras_segnet.layers import BatchNormalization, CropLike, MaxPoolingWithArgmax2D, MaxUnpooling2D, ZeroPaddingTo
from keras_segnet.models import blocks
from keras_segnet.models.registry import network
from keras_segnet.models.vgg16 import FILTERS, VGG16

# Filters of the deconvolutions of each stage, from the fifth to the first.
DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64, 64))
FC6_SIZE = 7


@network(
    source="arXiv 1505.04366; DeconvNet_inference_deploy.prototxt; SegNet, Table 6 (877 MB)",
    summary="VGG16 with its fully connected layers, their mirror, pooling indices",
    encoder=VGG16,
)
def deconvnet(x: Any, num_classes: int, width: float, *, dropout: float = 0.0) -> Any:
    """DeconvNet as in DeconvNet_inference_deploy.prototxt, layers named as released.

    With 11 classes it has 251,805,003 trainable parameters, 1007 MB, of which fc6 and its deconvolution have 206
    million. (SegNet's Table 6 says 877 MB; no reading of the prototxt gives that.)

    The original takes 224x224, where fc6, 7x7, covers all of pool5 and leaves one element. Here it slides over a larger
    pool5 (12x15 at 360x480) without padding, and its deconvolution goes back to that size, so at 224x224 this is the
    original. A pool5 smaller than 7x7, of an image up to 192 pixels, is lengthened with zeros.

    Weights of VGG16 start its 13 convolutions; the original took fc6 and fc7 from it, too.

    Args:
        dropout: rate of dropout after fc6 and fc7, where VGG16 has it. Default 0: none, as released.
    """
    pooled = []
    for stage, filters in enumerate(FILTERS, start=1):
        for i, channels in enumerate(filters, start=1):
            x = blocks.convolution(x, blocks.scaled(channels, width), 3, f"conv{stage}_{i}")
        before_pooling = x
        x, indices = MaxPoolingWithArgmax2D(name=f"pool{stage}")(x)
        pooled.append((before_pooling, indices))

    pool5 = x
    x = ZeroPaddingTo(FC6_SIZE, name="fc6_pad")(x)
    x = blocks.convolution(x, blocks.scaled(4096, width), FC6_SIZE, "fc6", padding="valid")
    x = blocks.dropped(x, dropout, "drop6")
    x = blocks.convolution(x, blocks.scaled(4096, width), 1, "fc7")
    x = blocks.dropped(x, dropout, "drop7")
    x = _deconvolution(x, blocks.scaled(512, width), FC6_SIZE, "fc6-deconv", padding="valid")
    x = CropLike(name="fc6-deconv_crop")(x, like=pool5)

    for stage, filters in zip((5, 4, 3, 2, 1), DECODER, strict=True):
        before_pooling, indices = pooled[stage - 1]
        x = MaxUnpooling2D(name=f"unpool{stage}")(x, indices, like=before_pooling)
        for i, channels in enumerate(filters, start=1):
            x = _deconvolution(x, blocks.scaled(channels, width), 3, f"deconv{stage}_{i}")
    return blocks.scores(x, num_classes, "seg-score")


def _deconvolution(x: Any, filters: int, kernel_size: int, name: str, *, padding: str = "same") -> Any:
    """Transposed convolution of stride 1, batch normalisation and ReLU: `NAME`, `NAME_bn`, `NAME_relu`."""
    x = layers.Conv2DTranspose(
        filters, kernel_size, padding=padding, data_format="channels_last", kernel_initializer="he_normal", name=name
    )(x)
    x = BatchNormalization(**blocks.BATCH_NORMALIZATION, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
