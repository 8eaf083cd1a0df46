"""DeconvNet: VGG16 with its fully connected layers, and the mirror of all of it (arXiv 1505.04366)."""

from __future__ import annotations

import os
from typing import Any

import keras
from keras import layers

from keras_segnet.layers import BatchNormalization, CropLike, MaxPoolingWithArgmax2D, MaxUnpooling2D, ZeroPaddingTo
from keras_segnet.models import blocks, vgg16

# Filters of the deconvolutions of each stage, from the fifth to the first.
DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64, 64))
FC6_SIZE = 7


def build_deconvnet(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = 0.0,
    name: str = "deconvnet",
) -> keras.Model:
    """DeconvNet as in DeconvNet_inference_deploy.prototxt, layers named as released.

    With 11 classes it has 251,805,003 trainable parameters, 1007 MB, of which fc6 and its deconvolution have 206
    million. (SegNet's Table 6 says 877 MB; no reading of the prototxt gives that.) Input: RGB in 0..255,
    `(batch, height, width, 3)`. Output: float32 `(batch, height, width, num_classes)`.

    The original takes 224x224, where fc6, 7x7, covers all of pool5 and leaves one element. Here it slides over a larger
    pool5 (12x15 at 360x480) without padding, and its deconvolution goes back to that size, so at 224x224 this is the
    original. A pool5 smaller than 7x7, of an image up to 192 pixels, is lengthened with zeros.

    Args:
        num_classes: classes to tell apart, without an ignored one. Default 11, CamVid's.
        input_shape: `(height, width, 3)`; None for a height or width that varies. Default: the paper's 360x480.
        width: factor on all channel counts but the classifier's. Default 1.0.
        weights: None for He initial weights (default); `"imagenet"` or the path of an .npz to start from VGG16's 13
            convolutions, see `keras_segnet.models.vgg16` (the original took its fc6 and fc7, too).
        classifier_activation: `"softmax"` (default) or None for logits.
        preprocessing: what the model does to colours first: `"imagenet"` (default), `"lrn"` or None.
        dropout: rate of dropout after fc6 and fc7, where VGG16 has it. Default 0: none, as released.
        name: of the model.

    Raises:
        ValueError: an argument is not one of the above, or the weights do not fit the network.
        FileNotFoundError: there is no file at `weights`.
    """
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    vgg16.check_vgg16_start(weights, width, preprocessing)

    image = blocks.image_input(input_shape)
    x = blocks.normalize_colours(image, preprocessing)

    pooled = []
    for stage, filters in enumerate(vgg16.FILTERS, start=1):
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
    probabilities = blocks.classifier(x, num_classes, 1, "seg-score", classifier_activation)

    model = keras.Model(image, probabilities, name=name)
    if weights is not None:
        vgg16.load_vgg16(model, weights)
    return model


def _deconvolution(x: Any, filters: int, kernel_size: int, name: str, *, padding: str = "same") -> Any:
    """Transposed convolution of stride 1, batch normalisation and ReLU: `NAME`, `NAME_bn`, `NAME_relu`."""
    x = layers.Conv2DTranspose(
        filters, kernel_size, padding=padding, data_format="channels_last", kernel_initializer="he_normal", name=name
    )(x)
    x = BatchNormalization(**blocks.BATCH_NORMALIZATION, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
