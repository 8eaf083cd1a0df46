"""What the networks are built from: input, normalised colours, convolution blocks, scores."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from keras_segnet.errors import InputError
from keras_segnet.layers import (
    BatchNormalization,
    BilinearUpsampling,
    CropLike,
    LocalContrastNormalization,
    LocalResponseNormalization,
    Softmax,
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's RGB in 0..1, the convention of torchvision's weights."""

PREPROCESSING = ("imagenet", "lrn", "lcn", None)
CLASSIFIER_ACTIVATIONS = ("softmax", "linear", None)

MOST_CLASSES = 255
"""Largest number of classes: labels and masks are uint8, and one of their 256 values marks ignored pixels."""

# Keras's default momentum of 0.99 trails the weights by some hundred steps, an epoch of CamVid. The epsilon is that of
# Caffe's own layer and of PyTorch, with which the weights in the package were trained; caffe-segnet's layer has 1e-9,
# which matters only to channels of next to no variance, and is lost in float16.
BATCH_NORMALIZATION = {"momentum": 0.9, "epsilon": 1e-5}


def image_input(input_shape: tuple[int | None, int | None, int]) -> keras.KerasTensor:
    """The input of a network: RGB in 0..255, `(height, width, 3)`, where height and width may be None."""
    shape = tuple(input_shape)
    if len(shape) != 3 or shape[2] != 3 or any(n is not None and (not isinstance(n, int) or n < 1) for n in shape):
        raise InputError(
            f"input_shape must be (height, width, 3), height and width positive ints or None, not {input_shape!r}."
        )
    return keras.Input(shape, name="image", dtype="float32")


def normalize_colours(x: Any, preprocessing: str | None) -> Any:
    """Normalises RGB 0..255 as the first convolution expects."""
    if preprocessing is None:
        return x
    if preprocessing == "imagenet":
        # Normalization rather than Rescaling: an offset per channel.
        return layers.Normalization(
            axis=-1,
            mean=[255 * m for m in IMAGENET_MEAN],
            variance=[(255 * s) ** 2 for s in IMAGENET_STD],
            name="imagenet_normalization",
        )(x)
    if preprocessing == "lrn":
        return LocalResponseNormalization(name="norm")(x)
    if preprocessing == "lcn":
        return LocalContrastNormalization(name="norm")(x)
    raise InputError(f"`preprocessing` must be one of {', '.join(map(repr, PREPROCESSING))}; not {preprocessing!r}.")


def convolution(
    x: Any,
    filters: int,
    kernel_size: int,
    name: str,
    *,
    strides: int = 1,
    dilation_rate: int = 1,
    padding: str = "same",
    relu: bool = True,
) -> Any:
    """Convolution, batch normalisation and (by default) ReLU: `NAME`, `NAME_bn`, `NAME_relu`."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        dilation_rate=dilation_rate,
        padding=padding,
        data_format="channels_last",
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = BatchNormalization(**BATCH_NORMALIZATION, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def plain_convolution(x: Any, filters: int, kernel_size: int, name: str, *, dilation_rate: int = 1) -> Any:
    """Convolution and ReLU, without batch normalisation: `NAME`, `NAME_relu`."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        dilation_rate=dilation_rate,
        padding="same",
        data_format="channels_last",
        kernel_initializer="he_normal",
        name=name,
    )(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def centred_max_pooling(x: Any, strides: int, name: str) -> Any:
    """Max pooling of 3x3 windows that are centred on every `strides`-th pixel: `NAME_pad`, `NAME`.

    With padding "same" they would lie one pixel further wherever the size is even. The padding is zeros, so the input
    must not be negative.
    """
    x = layers.ZeroPadding2D(1, data_format="channels_last", name=f"{name}_pad")(x)
    return layers.MaxPooling2D(3, strides, padding="valid", data_format="channels_last", name=name)(x)


def dropped(x: Any, rate: float, name: str) -> Any:
    """Dropout, or no layer at all where the rate is 0."""
    return layers.Dropout(rate, name=name)(x) if rate else x


def depthwise_convolution(x: Any, kernel_size: int, name: str) -> Any:
    """Convolution of each channel by itself, and batch normalisation: `NAME`, `NAME_bn`."""
    # Keras counts the fan-in of a depthwise kernel as if each filter saw all channels; its fan-out is what one sees.
    he_normal = keras.initializers.VarianceScaling(2.0, mode="fan_out", distribution="truncated_normal")
    x = layers.DepthwiseConv2D(
        kernel_size, padding="same", data_format="channels_last", depthwise_initializer=he_normal, name=name
    )(x)
    return BatchNormalization(**BATCH_NORMALIZATION, name=f"{name}_bn")(x)


def deconvolution(x: Any, kernel_size: int, strides: int, name: str, *, like: Any) -> Any:
    """Enlarges by a transposed convolution that starts as bilinear interpolation, to the size of `like`.

    Layers `NAME`, without biases, as in the prototxt files of FCN, and `NAME_crop`.
    """
    x = layers.Conv2DTranspose(
        x.shape[-1],
        kernel_size,
        strides,
        padding="same",
        data_format="channels_last",
        use_bias=False,
        kernel_initializer=BilinearUpsampling(strides),
        name=name,
    )(x)
    return CropLike(name=f"{name}_crop")(x, like)


def bilinear_upsampling(x: Any, factor: int, name: str, *, like: Any) -> Any:
    """Enlarges by bilinear interpolation, in which nothing is learned, to the size of `like`: `NAME`, `NAME_crop`."""
    x = layers.UpSampling2D(factor, data_format="channels_last", interpolation="bilinear", name=name)(x)
    return CropLike(name=f"{name}_crop")(x, like)


def scores(x: Any, num_classes: int, name: str, kernel_size: int = 1) -> Any:
    """A convolution to one feature map for each class."""
    return layers.Conv2D(
        num_classes, kernel_size, padding="same", data_format="channels_last", kernel_initializer="he_normal", name=name
    )(x)


def probabilities(x: Any, activation: str | None) -> Any:
    """The activation of the classes' maps in float32, the layer `prob` that ends every network."""
    if activation == "softmax":
        return Softmax(dtype="float32", name="prob")(x)
    return layers.Activation("linear", dtype="float32", name="prob")(x)


def scaled(channels: int, width: float) -> int:
    """`channels` times `width`, rounded, at least one."""
    return max(1, round(channels * width))


def check_common(num_classes: int, width: float, dropout: float, classifier_activation: str | None) -> None:
    """Refuses arguments that no network takes."""
    if not isinstance(num_classes, int) or not 2 <= num_classes <= MOST_CLASSES:
        raise InputError(
            f"num_classes must be an int from 2 to {MOST_CLASSES}, as labels are uint8 with one value to ignore; "
            f"not {num_classes!r}."
        )
    if not width > 0:
        raise InputError(f"`width` must be a positive number, not {width!r}.")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout must be at least 0 and below 1, not {dropout!r}.")
    if classifier_activation not in CLASSIFIER_ACTIVATIONS:
        raise InputError(
            f"classifier_activation must be one of {', '.join(map(repr, CLASSIFIER_ACTIVATIONS))}; "
            f"not {classifier_activation!r}."
        )
