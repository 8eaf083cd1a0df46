"""SegNet: the encoder of VGG16, its mirror as decoder, and max-pooling indices between them (arXiv 1511.00561)."""

from __future__ import annotations

import os

import keras
from keras import layers

from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks
from keras_segnet.models.vgg16 import FILTERS, check_vgg16_start, load_vgg16

# Filters of the convolutions of each stage, in the order in which an image meets them. The decoder's channels drop at
# the last convolution of a stage, and its very last one is the classifier.
ENCODER = FILTERS
DECODER = ((512, 512, 512), (512, 512, 256), (256, 256, 128), (128, 64), (64,))


def build_segnet(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | os.PathLike[str] | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = 0.0,
    name: str = "segnet",
) -> keras.Model:
    """SegNet as in segnet_train.prototxt: 26 convolutions, five poolings with indices, layers named as released.

    With 11 classes it has 29,449,355 trainable parameters. Input: RGB in 0..255, `(batch, height, width, 3)`, uint8 or
    float. Output: float32 `(batch, height, width, num_classes)`. Any height and width will do, odd ones too.

    Args:
        num_classes: classes to tell apart, without an ignored one. Default 11, CamVid's.
        input_shape: `(height, width, 3)`; None for a height or width that varies. Default: the paper's 360x480.
        width: factor on all channel counts but the classifier's. Default 1.0, the paper's net; 0.25 trains on a CPU.
        weights: None for He initial weights (default); `"imagenet"` to start the encoder from
            `keras.applications.VGG16` (downloads it); or the path of an .npz with VGG16's convolutions, see
            `keras_segnet.models.vgg16`. The last two need width 1 and preprocessing "imagenet".
        classifier_activation: `"softmax"` (default) or None for logits.
        preprocessing: what the model does to colours first. `"imagenet"` (default: x/255, minus mean, over standard
            deviation, so that VGG16 weights fit), `"lrn"`, `"lcn"` (the paper's local contrast
            normalisation), or None (the released SegNet feeds raw colours).
        dropout: rate of dropout after pool3 to pool5 and after conv5_1_D, conv4_1_D and conv3_1_D, where
            bayesian_segnet_train.prototxt has it. Default 0: none.
        name: of the model.

    Raises:
        ValueError: an argument is not one of the above, or the weights do not fit the network.
        FileNotFoundError: there is no file at `weights`.
    """
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    check_vgg16_start(weights, width, preprocessing)

    image = blocks.image_input(input_shape)
    x = blocks.normalize_colours(image, preprocessing)

    pooled = []
    for stage, filters in enumerate(ENCODER, start=1):
        for i, channels in enumerate(filters, start=1):
            x = blocks.convolution(x, blocks.scaled(channels, width), 3, f"conv{stage}_{i}")
        before_pooling = x
        x, indices = MaxPoolingWithArgmax2D(name=f"pool{stage}")(x)
        pooled.append((before_pooling, indices))
        if dropout and stage >= 3:
            x = layers.Dropout(dropout, name=f"encdrop{stage}")(x)

    for stage, filters in zip((5, 4, 3, 2, 1), DECODER, strict=True):
        before_pooling, indices = pooled[stage - 1]
        x = MaxUnpooling2D(name=f"upsample{stage}")(x, indices, like=before_pooling)
        number = len(ENCODER[stage - 1])
        for channels in filters:
            x = blocks.convolution(x, blocks.scaled(channels, width), 3, f"conv{stage}_{number}_D")
            if dropout and stage >= 3 and number == 1:
                x = layers.Dropout(dropout, name=f"decdrop{stage}")(x)
            number -= 1
    probabilities = blocks.classifier(x, num_classes, 3, "conv1_1_D", classifier_activation)

    model = keras.Model(image, probabilities, name=name)
    if weights is not None:
        load_vgg16(model, weights)
    return model
