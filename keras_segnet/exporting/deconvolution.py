"""Transposed convolutions as convolutions, where LiteRT's GPU backend does not compute them.

Those of large strides and padding "same" it computes wrongly (8 in every case that was tried). With a ReLU behind it,
which the converter makes part of it, a transposed convolution is of a version that the backend refuses; in the networks
here that concerns stride 1, DeconvNet's.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class TurnedDeconvolution(keras.layers.Conv2DTranspose):
    """The same as a `Conv2DTranspose` of stride 1, with the same weights: a convolution with its kernel turned over."""

    def call(self, inputs: Any) -> Any:
        kernel = turned(self)
        if self.padding == "valid":  # Which for this one means that the result is larger than the input.
            inputs = ops.pad(inputs, [(0, 0), *((size - 1, size - 1) for size in self.kernel_size), (0, 0)])
        result = ops.conv(inputs, kernel, padding=self.padding, data_format="channels_last")
        return self.activation(result + self.bias if self.use_bias else result)


class ShuffledDeconvolution(keras.layers.Conv2DTranspose):
    """The same as a `Conv2DTranspose` of equal strides and padding "same", with the same weights.

    The pixels that one input pixel is enlarged to are channels of a convolution first: pixel `s * i + a` of the result
    gets from input pixel `j` what the kernel has at `s * (i - j) + a + padding`, so each `a` has a kernel over `i - j`.
    """

    def call(self, inputs: Any) -> Any:
        result = ops.depth_to_space(
            ops.conv(inputs, shuffled(self), padding="same", data_format="channels_last"),
            self.strides[0],
            data_format="channels_last",
        )
        return self.activation(result + self.bias if self.use_bias else result)


def turned(layer: keras.layers.Conv2DTranspose) -> np.ndarray:
    """The kernel of a `Conv2DTranspose` as a convolution has it, `(height, width, inputs, outputs)`."""
    # In numpy, because converters keep these ops in the graph if they find them there. Weights are known by then.
    return ops.convert_to_numpy(layer.kernel)[::-1, ::-1].swapaxes(2, 3)


def shuffled(layer: keras.layers.Conv2DTranspose) -> np.ndarray:
    """The kernel of the convolution of a `ShuffledDeconvolution`."""
    stride = layer.strides[0]
    size, _, filters, channels = layer.kernel.shape
    padding = (size - stride) // 2
    reach = max(stride - 1 + padding, size - 1 - padding) // stride
    taps = 2 * reach + 1
    before = stride * reach - padding
    after = stride * taps - size - before
    kernel = np.pad(ops.convert_to_numpy(layer.kernel), [(before, after), (before, after), (0, 0), (0, 0)])
    kernel = kernel.reshape(taps, stride, taps, stride, filters, channels)
    # A convolution turns its kernel over beside a transposed one.
    kernel = kernel[::-1, :, ::-1].transpose(0, 2, 5, 1, 3, 4)
    return kernel.reshape(taps, taps, channels, stride * stride * filters)


def exported_kernel(layer: keras.layers.Conv2DTranspose) -> np.ndarray:
    """The kernel that an exported file has of a `Conv2DTranspose`: `(height, width, inputs, outputs)`."""
    replacement = replacement_of(layer)
    if replacement is TurnedDeconvolution:
        return turned(layer)
    if replacement is ShuffledDeconvolution:
        return shuffled(layer)
    return ops.convert_to_numpy(layer.kernel).swapaxes(2, 3)


def with_deconvolutions_as_convolutions(model: keras.Model) -> keras.Model:
    """The network with its transposed convolutions of other strides than 2 as convolutions: `model` if it has none.

    The weights of the new one are not those of `model`, but have their order and shapes. Transposed convolutions that
    no network here has (strides, kernels or padding of another kind) stay as they are.
    """

    def clone(layer: keras.Layer) -> keras.Layer:
        return (replacement_of(layer) or type(layer)).from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone) if any(map(replacement_of, model.layers)) else model


def replacement_of(layer: keras.Layer) -> type[keras.Layer] | None:
    """The layer that takes a layer's place in exported files; None where it stays."""
    if type(layer) is not keras.layers.Conv2DTranspose or len(set(layer.strides)) > 1:
        return None
    if layer.output_padding is not None or set(layer.dilation_rate) != {1} or layer.data_format != "channels_last":
        return None
    stride = layer.strides[0]
    if stride == 1:
        is_centred = all(size % 2 for size in layer.kernel_size)
        return TurnedDeconvolution if is_centred or layer.padding == "valid" else None
    if stride == 2:
        return None  # Computed well as it is, and with fewer multiplications.
    is_square = len(set(layer.kernel_size)) == 1 and layer.kernel_size[0] >= stride
    return ShuffledDeconvolution if is_square and layer.padding == "same" else None
