"""Batch normalisation by TensorFlow's fused kernel, as a drop-in for Keras's layer."""

from __future__ import annotations

import keras
from keras import ops

from keras_segnet.layers.tensor import Tensor


@keras.saving.register_keras_serializable("keras_segnet")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose training step runs in one kernel under TensorFlow.

    Keras 3 composes batch normalisation of mean, squared difference, cast, product and sum, each over a whole feature
    map in float32. Keras 2 had `fused=True`; Keras 3 dropped it for one code path on all backends, and 3.15 still has
    none. On a CPU these ops take longer than the convolutions around them. Here, a float feature map `(batch, height,
    width, channels)` is normalised by `FusedBatchNormV3` in training: float16, bfloat16 and float32 in and out, with
    statistics in float32. Outputs, gradients and moving statistics are Keras's within rounding.

    Everything else is Keras's own computation: inference (`training=False`, frozen layers), axes other than the last
    one, masks, `synchronized=True`, `renorm=True`, other ranks, float64, and the JAX and PyTorch backends.

    Arguments, call arguments, weights and their names are those of `keras.layers.BatchNormalization`, so weights and
    configurations go from one to the other. To drop this class once Keras fuses: build the networks with Keras's layer,
    and keep the registered name `keras_segnet>BatchNormalization` as an alias of it, so that saved models load.
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Tensor:
        if not (training and self.trainable and mask is None and self._has_fused_kernel(inputs)):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        channels = inputs.shape[-1]
        # Not tf.compat.v1.nn.fused_batch_norm, which raises an epsilon below 1.001e-5, as Caffe's 1e-5 is.
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=ops.cast(self.gamma, "float32") if self.scale else tf.ones(channels),
            offset=ops.cast(self.beta, "float32") if self.center else tf.zeros(channels),
            mean=tf.zeros(0),
            variance=tf.zeros(0),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel returns the unbiased variance, times n / max(n - 1, 1); Keras keeps the biased one.
        n = tf.cast(tf.size(inputs, tf.int64) // channels, "float32")
        biased_variance = variance * (tf.maximum(n - 1.0, 1.0) / n)
        for average, value in ((self.moving_mean, mean), (self.moving_variance, biased_variance)):
            average.assign(ops.cast(average, "float32") * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def _has_fused_kernel(self, inputs: Tensor) -> bool:
        return (
            keras.backend.backend() == "tensorflow"
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            # A map of another dtype than the output's, as without autocast, is not rounded before it is normalised.
            and keras.backend.standardize_dtype(inputs.dtype) == self.compute_dtype
            and self.compute_dtype in ("float16", "bfloat16", "float32")
            and not self.synchronized
            and not getattr(self, "renorm", False)  # Keras 3.13 has none.
        )


__all__ = ["BatchNormalization"]
