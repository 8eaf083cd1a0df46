"""Transposed convolutions of large strides by a convolution and a depth-to-space, which every runtime computes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

LARGEST_STRIDE = 2
"""That a transposed convolution keeps. LiteRT's GPU backend computes those of stride 4, 8, 16 and 32 wrongly."""


class ShuffledDeconvolution(keras.layers.Conv2DTranspose):
    """The same as a `Conv2DTranspose` of equal strides and padding "same", with the same weights.

    The pixels that one input pixel is enlarged to are channels of a convolution first: pixel `s * i + a` of the result
    gets from input pixel `j` what the kernel has at `s * (i - j) + a + padding`, so each `a` has a kernel over `i - j`.
    """

    def call(self, inputs: Any) -> Any:
        stride = self.strides[0]
        size, _, filters, channels = self.kernel.shape
        padding = (size - stride) // 2
        reach = (stride - 1 + padding) // stride
        taps = 2 * reach + 1
        before = stride * reach - padding
        after = stride * taps - size - before
        # In numpy, because converters keep these ops in the graph if they find them there. Weights are known by then.
        kernel = np.pad(ops.convert_to_numpy(self.kernel), [(before, after), (before, after), (0, 0), (0, 0)])
        kernel = kernel.reshape(taps, stride, taps, stride, filters, channels)
        # A convolution turns its kernel over beside a transposed one.
        kernel = kernel[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4)
        kernel = kernel.reshape(taps, taps, channels, stride * stride * filters)
        result = ops.depth_to_space(ops.conv(inputs, kernel, padding="same"), stride)
        return self.activation(result + self.bias if self.use_bias else result)


def with_small_strides(model: keras.Model) -> keras.Model:
    """The network with its transposed convolutions of large strides shuffled: `model` itself if it has none.

    The weights of the new one are not those of `model`, but have their order and shapes. Transposed convolutions that
    no network here has (strides, kernels or padding of another kind) stay as they are.
    """

    def clone(layer: keras.Layer) -> keras.Layer:
        kind = ShuffledDeconvolution if _can_be_shuffled(layer) else type(layer)
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone) if any(map(_can_be_shuffled, model.layers)) else model


def _can_be_shuffled(layer: keras.Layer) -> bool:
    if type(layer) is not keras.layers.Conv2DTranspose or max(layer.strides) <= LARGEST_STRIDE:
        return False
    is_square = len(set(layer.strides)) == len(set(layer.kernel_size)) == 1 and layer.kernel_size[0] >= layer.strides[0]
    return is_square and layer.padding == "same" and layer.output_padding is None and set(layer.dilation_rate) == {1}
