"""The networks of the paper's decoder study that do without indices (section 3.2, Table 1).

All have SegNet-Basic's encoder. What they upsample with, what they add and in how many channels is their difference:

| network | channels of the decoder | upsampling | adds the encoder's maps |
|---|---|---|---|
| FCN-Basic | classes | learned | yes |
| FCN-Basic-NoAddition | classes | learned | no |
| FCN-Basic-NoDimReduction | 64 | learned | yes |
| FCN-Basic-NoAddition-NoDimReduction | 64 | learned | no |
| Bilinear-Interpolation | classes | bilinear, fixed | no |

Learned upsampling is a deconvolution 8x8 with stride 2 that starts as bilinear interpolation. The maps that are added
are those behind the poolings (figure 3), so the last upsampling, to the size of the image, adds none.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from keras_segnet.models import blocks
from keras_segnet.models.segnet_basic import FILTERS, KERNEL_SIZE, STAGES

DECONVOLUTION_SIZE = 8


def encode(image: Any, preprocessing: str | None, width: float) -> list[Any]:
    """SegNet-Basic's encoder without indices: the image, and what is behind each of its four poolings."""
    x = blocks.normalize_colours(image, preprocessing)
    maps = [image]
    for stage in range(1, STAGES + 1):
        x = blocks.convolution(x, blocks.scaled(FILTERS, width), KERNEL_SIZE, f"conv{stage}")
        x = layers.MaxPooling2D(2, padding="same", data_format="channels_last", name=f"pool{stage}")(x)
        maps.append(x)
    return maps


def upsample(x: Any, stage: int, maps: list[Any]) -> Any:
    """Undoes the pooling of a stage by a deconvolution."""
    return blocks.deconvolution(x, DECONVOLUTION_SIZE, 2, f"upsample{stage}", like=maps[stage - 1])


def build_fcn_basic(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    name: str = "fcn_basic",
) -> keras.Model:
    """FCN-Basic (Table 1): FCN's decoder on SegNet-Basic's encoder.

    1x1 convolutions reduce the maps behind each pooling to one a class; the deepest are upsampled, and at each size the
    encoder's are added. With 11 classes the convolutions have 645,312 weights (Table 1: 0.65 M parameters). Input: RGB
    in 0..255, `(batch, height, width, 3)`, any height and width. Output: float32 `(batch, height, width, num_classes)`.

    Args:
        num_classes: classes to tell apart, without an ignored one. Default 11, CamVid's.
        input_shape: `(height, width, 3)`; None for a height or width that varies. Default: the paper's 360x480.
        width: factor on the 64 channels of the encoder. Default 1.0.
        classifier_activation: `"softmax"` (default) or None for logits.
        preprocessing: what the model does to colours first: `"lrn"` (default, as SegNet-Basic), `"imagenet"` or None.
        name: of the model.

    Raises:
        ValueError: an argument is not one of the above.
    """
    blocks.check_common(num_classes, width, classifier_activation=classifier_activation)
    image = blocks.image_input(input_shape)
    maps = encode(image, preprocessing, width)

    x = blocks.scores(maps[STAGES], num_classes, f"score_pool{STAGES}")
    for stage in range(STAGES, 1, -1):
        x = upsample(x, stage, maps)
        reduced = blocks.scores(maps[stage - 1], num_classes, f"score_pool{stage - 1}")
        x = layers.Add(name=f"fuse_pool{stage - 1}")([x, reduced])
    x = upsample(x, 1, maps)
    return keras.Model(image, blocks.probabilities(x, classifier_activation), name=name)


def build_fcn_basic_no_addition(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    name: str = "fcn_basic_no_addition",
) -> keras.Model:
    """FCN-Basic-NoAddition (Table 1): only the deepest maps are reduced, upsampled and classified.

    With 11 classes the convolutions have 643,200 weights (Table 1: 0.65 M parameters). Arguments: those of
    `build_fcn_basic`.
    """
    blocks.check_common(num_classes, width, classifier_activation=classifier_activation)
    image = blocks.image_input(input_shape)
    maps = encode(image, preprocessing, width)

    x = blocks.scores(maps[STAGES], num_classes, f"score_pool{STAGES}")
    for stage in range(STAGES, 0, -1):
        x = upsample(x, stage, maps)
    return keras.Model(image, blocks.probabilities(x, classifier_activation), name=name)


def build_fcn_basic_no_dim_reduction(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    name: str = "fcn_basic_no_dim_reduction",
) -> keras.Model:
    """FCN-Basic-NoDimReduction (Table 1): upsamples and adds 64 maps at each size, and classifies last.

    The paper leaves open how 64 maps become classes. Here all four deconvolutions keep 64, and a 1x1 classifier as
    SegNet-Basic's ends the network. That makes 1,660,800 weights with 11 classes, 2.2 % more than the 1.625 M of
    Table 1, which no single wiring gives. Arguments: those of `build_fcn_basic`.
    """
    blocks.check_common(num_classes, width, classifier_activation=classifier_activation)
    image = blocks.image_input(input_shape)
    maps = encode(image, preprocessing, width)

    x = maps[STAGES]
    for stage in range(STAGES, 1, -1):
        x = layers.Add(name=f"fuse_pool{stage - 1}")([upsample(x, stage, maps), maps[stage - 1]])
    x = upsample(x, 1, maps)
    probabilities = blocks.classifier(x, num_classes, 1, "conv_classifier", classifier_activation)
    return keras.Model(image, probabilities, name=name)


def build_fcn_basic_no_addition_no_dim_reduction(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    name: str = "fcn_basic_no_addition_no_dim_reduction",
) -> keras.Model:
    """FCN-Basic-NoAddition-NoDimReduction (Table 1): upsamples the deepest 64 maps, and classifies last.

    The wiring, and so the number of weights, is that of `build_fcn_basic_no_dim_reduction`, without the additions.
    Arguments: those of `build_fcn_basic`.
    """
    blocks.check_common(num_classes, width, classifier_activation=classifier_activation)
    image = blocks.image_input(input_shape)
    maps = encode(image, preprocessing, width)

    x = maps[STAGES]
    for stage in range(STAGES, 0, -1):
        x = upsample(x, stage, maps)
    probabilities = blocks.classifier(x, num_classes, 1, "conv_classifier", classifier_activation)
    return keras.Model(image, probabilities, name=name)


def build_bilinear_interpolation(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "lrn",
    name: str = "bilinear_interpolation",
) -> keras.Model:
    """Bilinear-Interpolation (Table 1): classifies the deepest maps, and upsamples the scores without learning.

    Scores and not 64 maps are interpolated: 1x1 convolution and interpolation change places without changing anything
    else, and this way costs a sixth. With 11 classes the convolutions have 612,224 weights, 2.0 % less than the 0.625 M
    of Table 1. Arguments: those of `build_fcn_basic`.
    """
    blocks.check_common(num_classes, width, classifier_activation=classifier_activation)
    image = blocks.image_input(input_shape)
    maps = encode(image, preprocessing, width)

    x = blocks.scores(maps[STAGES], num_classes, f"score_pool{STAGES}")
    for stage in range(STAGES, 0, -1):
        x = blocks.bilinear_upsampling(x, 2, f"upsample{stage}", like=maps[stage - 1])
    return keras.Model(image, blocks.probabilities(x, classifier_activation), name=name)
