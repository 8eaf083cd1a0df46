"""EfficientNet-Lite0 as an encoder: MobileNet's inverted residual units, without what int8 and GPUs are slow at.

Described in Google's EfficientNet-Lite (github.com/tensorflow/tpu, models/official/efficientnet/lite), which leaves
squeeze-and-excitation out of EfficientNet-B0 (arXiv 1905.11946) and takes ReLU6 for swish. Its weights, trained on
ImageNet, come with the package under Apache-2.0, and may be used for anything: see NOTICE.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from keras_segnet import catalogue
from keras_segnet.errors import InputError
from keras_segnet.layers import BatchNormalization
from keras_segnet.models import blocks
from keras_segnet.models.trained import copy_weights, read_weights

WEIGHTS = catalogue.WEIGHTS / "encoders" / "efficientnet_lite0_imagenet.npz"

STEM = 32
# Of each stage: kernel size, stride of the first unit, factor of expansion, channels, units.
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


def efficientnet_lite0(
    input_shape: tuple[int | None, int | None, int] = (None, None, 3), weights: str | None = "imagenet"
) -> keras.Model:
    """EfficientNet-Lite0 without its classifier: the last feature map of each size, for decoders of one's own.

    Args:
        input_shape: `(height, width, 3)`; None (default) for a height or width that varies.
        weights: `"imagenet"` (default), from the package; or None for random ones.

    Returns:
        A `keras.Model` from RGB 0..255 `(batch, height, width, 3)` to five float32 feature maps, of a half, quarter,
        eighth, sixteenth and thirty-second of the height and width, rounded up, with 16, 24, 40, 112 and 320 channels.

    Raises:
        InputError: an argument is not one of the above.
    """
    if weights not in ("imagenet", None):
        raise InputError(f"`weights` of efficientnet_lite0 must be 'imagenet' or None, not {weights!r}.")
    image = blocks.image_input(input_shape)
    x = layers.Rescaling(1 / 128, -127 / 128, name="rescaling")(image)
    model = keras.Model(image, features(x), name="efficientnet_lite0")
    if weights is not None:
        copy_weights(model, read_weights(WEIGHTS), f"weights={weights!r}")
    return model


def features(x: Any) -> list[Any]:
    """The last feature map of each size, of colours as `(RGB - 127) / 128`."""
    x = _normalized(_convolution(x, STEM, 3, 2, "stem"), "stem", relu6=True)
    found = [x]
    for stage, (kernel_size, strides, expansion, channels, units) in enumerate(STAGES, start=1):
        for i in range(1, units + 1):
            step = strides if i == 1 else 1
            x = _inverted_residual(x, channels, kernel_size, step, expansion, f"block{stage}_{i}")
            if step == 2:
                found.append(x)
            found[-1] = x
    return found


def _inverted_residual(x: Any, channels: int, kernel_size: int, strides: int, expansion: int, name: str) -> Any:
    """Expands by a 1x1 convolution, convolves each channel by itself, projects by 1x1; adds the input if that fits."""
    y = x
    if expansion != 1:
        y = _normalized(_convolution(y, expansion * x.shape[-1], 1, 1, f"{name}_expand"), f"{name}_expand", relu6=True)
    y = layers.DepthwiseConv2D(
        kernel_size, strides, padding="same", data_format="channels_last", use_bias=False, name=f"{name}_depthwise"
    )(y)
    y = _normalized(y, f"{name}_depthwise", relu6=True)
    y = _normalized(_convolution(y, channels, 1, 1, f"{name}_project"), f"{name}_project", relu6=False)
    if strides == 1 and x.shape[-1] == channels:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def _convolution(x: Any, filters: int, kernel_size: int, strides: int, name: str) -> Any:
    return layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        data_format="channels_last",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _normalized(x: Any, name: str, *, relu6: bool) -> Any:
    """Batch normalisation, with the epsilon of the weights, and ReLU6: `NAME_bn`, `NAME_relu6`."""
    x = BatchNormalization(momentum=0.9, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x) if relu6 else x


__all__ = ["efficientnet_lite0", "features"]
