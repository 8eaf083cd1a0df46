"""SegNet-Basic: four encoders and four decoders, the net of the paper's decoder study (section 3.2, Table 1).

Three of that study's networks unpool with indices and differ in one thing, what a decoder makes of the unpooled maps.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks
from keras_segnet.models.trained import check_trained_start, load_trained

FILTERS = 64
KERNEL_SIZE = 7
STAGES = 4


def decode_as_segnet(unpooled: Any, encoded: Any, name: str) -> Any:
    """7x7 convolution and batch normalisation, no ReLU."""
    return blocks.convolution(unpooled, unpooled.shape[-1], KERNEL_SIZE, name, relu=False)


def decode_with_a_single_channel(unpooled: Any, encoded: Any, name: str) -> Any:
    """The same, but each filter sees only its own unpooled map."""
    return blocks.depthwise_convolution(unpooled, KERNEL_SIZE, name)


def decode_with_encoder_addition(unpooled: Any, encoded: Any, name: str) -> Any:
    """As SegNet, and the encoder's maps before their pooling are added."""
    return layers.Add(name=f"{name}_add")([decode_as_segnet(unpooled, encoded, name), encoded])


DECODERS = {
    "segnet": decode_as_segnet,
    "single_channel": decode_with_a_single_channel,
    "encoder_addition": decode_with_encoder_addition,
}
"""What a decoder makes of its unpooled maps, given the encoder's maps of the same stage too."""


def build_segnet_basic(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    decoder: str = "segnet",
    width: float = 1.0,
    weights: str | None = None,
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
        decoder: `"segnet"` (default), or another of Table 1: `"single_channel"` (SegNet-Basic-SingleChannelDecoder) or
            `"encoder_addition"` (SegNet-Basic-EncoderAddition).
        width: factor on the 64 channels of each layer. Default 1.0.
        weights: None for He initial weights (default), or `"camvid"` for those that the package has, see
            docs/weights/segnet_basic_camvid.md; they need decoder "segnet", width 1 and preprocessing "lrn". The
            classifier keeps its initial weights where `num_classes` is not 11.
        classifier_activation: `"softmax"` (default) or None for logits.
        preprocessing: what the model does to colours first: `"lrn"` (default, as released), `"lcn"` (local contrast
            normalisation, as the paper says), `"imagenet"` or None.
        dropout: rate of dropout after pool3, pool4 and the decoders of stage 4 and 3, where bayesian_segnet_basic has
            it. Default 0: none.
        name: of the model.

    Raises:
        ValueError: an argument is not one of the above.
    """
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    if decoder not in DECODERS:
        raise ValueError(f"decoder must be one of {', '.join(map(repr, DECODERS))}; not {decoder!r}.")
    check_trained_start("segnet_basic", weights, width, preprocessing, "lrn")
    if weights is not None and decoder != "segnet":
        raise ValueError(f"weights={weights!r} need decoder='segnet', not {decoder!r}.")
    decode = DECODERS[decoder]
    filters = blocks.scaled(FILTERS, width)

    image = blocks.image_input(input_shape)
    x = blocks.normalize_colours(image, preprocessing)

    pooled = []
    for stage in range(1, STAGES + 1):
        encoded = blocks.convolution(x, filters, KERNEL_SIZE, f"conv{stage}")
        x, indices = MaxPoolingWithArgmax2D(name=f"pool{stage}")(encoded)
        pooled.append((encoded, indices))
        if dropout and stage >= 3:
            x = layers.Dropout(dropout, name=f"encdrop{stage}")(x)

    for stage in range(STAGES, 0, -1):
        encoded, indices = pooled[stage - 1]
        x = MaxUnpooling2D(name=f"upsample{stage}")(x, indices, like=encoded)
        x = decode(x, encoded, f"conv_decode{stage}")
        if dropout and stage >= 3:
            x = layers.Dropout(dropout, name=f"decdrop{stage}")(x)
    probabilities = blocks.classifier(x, num_classes, 1, "conv_classifier", classifier_activation)
    model = keras.Model(image, probabilities, name=name)
    load_trained(model, "segnet_basic", weights)
    return model


def build_segnet_basic_encoder_addition(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    dropout: float = 0.0,
    name: str = "segnet_basic_encoder_addition",
) -> keras.Model:
    """SegNet-Basic-EncoderAddition (Table 1): each decoder adds the 64 maps of its encoder to what it puts out.

    The encoder's maps are those before pooling, the only ones that the last decoder's size suits. As many parameters as
    SegNet-Basic. Arguments: those of `build_segnet_basic`.
    """
    return build_segnet_basic(
        num_classes,
        input_shape,
        decoder="encoder_addition",
        width=width,
        classifier_activation=classifier_activation,
        preprocessing=preprocessing,
        dropout=dropout,
        name=name,
    )


def build_segnet_basic_single_channel_decoder(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    dropout: float = 0.0,
    name: str = "segnet_basic_single_channel_decoder",
) -> keras.Model:
    """SegNet-Basic-SingleChannelDecoder (Table 1): each decoder filter sees only its own unpooled map.

    With 11 classes it has 624,768 weights in its convolutions (Table 1: 0.625 M parameters). Arguments: those of
    `build_segnet_basic`.
    """
    return build_segnet_basic(
        num_classes,
        input_shape,
        decoder="single_channel",
        width=width,
        classifier_activation=classifier_activation,
        preprocessing=preprocessing,
        dropout=dropout,
        name=name,
    )
