"""SegNet-Basic: four encoders and four decoders, the net of the paper's decoder study (section 3.2)."""

from __future__ import annotations

import keras
from keras import layers

from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks

FILTERS = 64
KERNEL_SIZE = 7
STAGES = 4


def build_segnet_basic(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    dropout: float = 0.0,
    name: str = "segnet_basic",
) -> keras.Model:
    """SegNet-Basic as in segnet_basic_train.prototxt, layers named as released.

    Encoder: 4 x [7x7 convolution of 64, batch normalisation, ReLU, pooling with indices]. Decoder: 4 x [unpooling with
    those indices, 7x7 convolution of 64, batch normalisation, no ReLU], then a 1x1 classifier. With 11 classes it has
    1,415,040 weights in its convolutions (Table 1: 1.425 M parameters). Input: RGB in 0..255,
    `(batch, height, width, 3)`. Output: float32 `(batch, height, width, num_classes)`.

    Args:
        num_classes: classes to tell apart, without an ignored one. Default 11, CamVid's.
        input_shape: `(height, width, 3)`; None for a height or width that varies. Default: the paper's 360x480.
        width: factor on the 64 channels of each layer. Default 1.0.
        classifier_activation: `"softmax"` (default) or None for logits.
        preprocessing: what the model does to colours first: `"lrn"` (default, as released), `"imagenet"` or None.
        dropout: rate of dropout after pool3, pool4 and the batch normalisation of conv_decode4 and conv_decode3, where
            bayesian_segnet_basic has it. Default 0: none.
        name: of the model.

    Raises:
        ValueError: an argument is not one of the above.
    """
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    filters = blocks.scaled(FILTERS, width)

    image = blocks.image_input(input_shape)
    x = blocks.normalize_colours(image, preprocessing)

    pooled = []
    for stage in range(1, STAGES + 1):
        x = blocks.convolution(x, filters, KERNEL_SIZE, f"conv{stage}")
        before_pooling = x
        x, indices = MaxPoolingWithArgmax2D(name=f"pool{stage}")(x)
        pooled.append((before_pooling, indices))
        if dropout and stage >= 3:
            x = layers.Dropout(dropout, name=f"encdrop{stage}")(x)

    for stage in range(STAGES, 0, -1):
        before_pooling, indices = pooled[stage - 1]
        x = MaxUnpooling2D(name=f"upsample{stage}")(x, indices, like=before_pooling)
        x = blocks.convolution(x, filters, KERNEL_SIZE, f"conv_decode{stage}", relu=False)
        if dropout and stage >= 3:
            x = layers.Dropout(dropout, name=f"decdrop{stage}")(x)
    probabilities = blocks.classifier(x, num_classes, 1, "conv_classifier", classifier_activation)
    return keras.Model(image, probabilities, name=name)
