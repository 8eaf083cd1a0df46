"""ResNet-50 as DeepLab v3 uses it: at a sixteenth of the input's size, its last stage atrous (arXiv 1512.03385).

Layers carry the names of `keras.applications.ResNet50` without `_conv`, and are its equals up to `conv4_block6_out`, so
its weights fit.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from keras_segnet.models import blocks
from keras_segnet.models.starting_weights import Encoder
from keras_segnet.models.vgg16 import fold_caffe_colours

OUTPUT_STRIDE = 16

# Of each stage: channels of its bottlenecks, step of the first one, and the rates of all of them. Those of the last are
# the multi-grid (1, 2, 4) of DeepLab v3, section 3.2.1, times 2 for the step that the stage does not make.
STAGES = (
    (64, 1, (1, 1, 1)),
    (128, 2, (1, 1, 1, 1)),
    (256, 2, (1, 1, 1, 1, 1, 1)),
    (512, 1, (2, 4, 8)),
)


def atrous_resnet50(x: Any, width: float) -> Any:
    """Features of normalised colours: `(batch, ceil(height / 16), ceil(width / 16), 4 * scaled(512))`."""
    x = layers.ZeroPadding2D(3, data_format="channels_last", name="conv1_pad")(x)
    x = blocks.convolution(x, blocks.scaled(64, width), 7, "conv1", strides=2, padding="valid")
    x = blocks.centred_max_pooling(x, 2, "pool1")
    for stage, (channels, strides, rates) in enumerate(STAGES, start=2):
        for i, rate in enumerate(rates, start=1):
            x = _bottleneck(x, blocks.scaled(channels, width), f"conv{stage}_block{i}", strides if i == 1 else 1, rate)
    return x


def _bottleneck(x: Any, filters: int, name: str, strides: int, rate: int) -> Any:
    """1x1, 3x3 and 1x1 convolution, added to the input, which the first one of a stage projects."""
    shortcut = x
    if name.endswith("block1"):
        shortcut = blocks.convolution(x, 4 * filters, 1, f"{name}_0", strides=strides, relu=False)
    x = blocks.convolution(x, filters, 1, f"{name}_1", strides=strides)
    x = blocks.convolution(x, filters, 3, f"{name}_2", dilation_rate=rate)
    x = blocks.convolution(x, 4 * filters, 1, f"{name}_3", relu=False)
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.ReLU(name=f"{name}_out")(x)


def load_resnet50(model: keras.Model) -> None:
    """Sets the ResNet-50 in a network of width 1 to `keras.applications.ResNet50`'s, trained on ImageNet (a download).

    Those weights expect Caffe's colours, so the difference is folded into the first convolution, see
    `keras_segnet.models.vgg16`.
    """
    trained = keras.applications.ResNet50(include_top=False, weights="imagenet")
    for layer in trained.layers:
        if layer.weights:
            model.get_layer(layer.name.removesuffix("_conv")).set_weights(layer.get_weights())
    first = model.get_layer("conv1")
    first.set_weights(fold_caffe_colours(*first.get_weights()))


RESNET50 = Encoder("ResNet-50", download=load_resnet50)
