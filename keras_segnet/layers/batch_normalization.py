"""Batch normalisation by the backend's fused kernel, as a drop-in for Keras's layer."""

from __future__ import annotations

import math

import keras
from keras import ops

from keras_segnet.layers.tensor import Tensor


@keras.saving.register_keras_serializable("keras_segnet")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose training step runs in one kernel under TensorFlow and PyTorch.

    Keras 3 composes batch normalisation of mean, squared difference, cast, product and sum, each over a whole feature
    map in float32. Keras 2 had `fused=True`; Keras 3 dropped it for one code path on all backends (keras-core issue
    225), and 3.15 still has none. On a CPU these ops take two to four times as long as one kernel. Here, a float
    feature map `(batch, height, width, channels)` is normalised by `FusedBatchNormV3` or `torch.batch_norm` in
    training: float16, bfloat16 and float32 in and out, with statistics in float32. Outputs, gradients and moving
    statistics are Keras's within rounding.

    Everything else is Keras's own computation: inference (`training=False`, frozen layers), axes other than the last
    one, masks, `synchronized=True`, `renorm=True`, other ranks, float64, and JAX, whose compiler fuses by itself.

    Arguments, call arguments, weights and their names are those of `keras.layers.BatchNormalization`, so weights and
    configurations go from one to the other. To drop this class once Keras fuses: build the networks with Keras's layer,
    and keep the registered name `keras_segnet>BatchNormalization` as an alias of it, so that saved models load.
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        if not (training and self.trainable and mask is None and self._has_fused_kernel(inputs)):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        gamma = ops.cast(self.gamma, "float32") if self.scale else ops.ones(channels, "float32")
        beta = ops.cast(self.beta, "float32") if self.center else ops.zeros(channels, "float32")
        outputs, mean, variance = _KERNELS[keras.backend.backend()](inputs, gamma, beta, self.epsilon)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(ops.cast(average, "float32") * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _has_fused_kernel(self, inputs: Tensor) -> bool:
        return (
            keras.backend.backend() in _KERNELS
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            # A map of another dtype than the output's, as without autocast, is not rounded before it is normalised.
            and keras.backend.standardize_dtype(inputs.dtype) == self.compute_dtype
            and self.compute_dtype in ("float16", "bfloat16", "float32")
            and not self.synchronized
            and not getattr(self, "renorm", False)  # Keras 3.13 has none.
            # PyTorch's kernel has no variance of a single pixel.
            and not (keras.backend.backend() == "torch" and math.prod(inputs.shape[:3]) < 2)
        )


# Both kernels return the unbiased variance, n / (n - 1) times the biased one that Keras averages.


def _by_tensorflow(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """`(outputs, mean, biased variance)`, the latter two float32 `(channels,)`."""
    import tensorflow as tf

    # Not tf.compat.v1.nn.fused_batch_norm, which raises an epsilon below 1.001e-5, as Caffe's 1e-5 is.
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=tf.zeros(0), variance=tf.zeros(0), epsilon=epsilon, is_training=True
    )
    # Of a single pixel, the kernel takes n / 1.
    n = tf.cast(tf.size(x, tf.int64) // x.shape[-1], "float32")
    return outputs, mean, variance * (tf.maximum(n - 1.0, 1.0) / n)


def _by_torch(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """As `_by_tensorflow`."""
    import torch

    n = math.prod(x.shape[:3])
    mean, variance = torch.zeros_like(gamma), torch.zeros_like(gamma)
    # With a momentum of 1, running statistics become those of the batch. The permuted map is not copied.
    outputs = torch.batch_norm(x.permute(0, 3, 1, 2), gamma, beta, mean, variance, True, 1.0, epsilon, True)
    return outputs.permute(0, 2, 3, 1), mean, variance * ((n - 1) / n)


_KERNELS = {"tensorflow": _by_tensorflow, "torch": _by_torch}


__all__ = ["BatchNormalization"]
