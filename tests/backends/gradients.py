"""A function's outputs and gradients, on whichever backend Keras has."""

import keras
import numpy as np


def run(function, inputs, upstreams):
    """Calls `function(*inputs)`, which gives one or more float tensors and then one that has no gradient.

    Returns `(outputs, gradients)` as arrays: all outputs, and the gradient of each input for `upstreams`, one for each
    float output.
    """
    outputs, gradients = _RUN[keras.backend.backend()](function, inputs, upstreams)
    return [keras.ops.convert_to_numpy(t) for t in outputs], [keras.ops.convert_to_numpy(t) for t in gradients]


def _with_tensorflow(function, inputs, upstreams):
    import tensorflow as tf

    inputs = [tf.constant(array) for array in inputs]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = function(*inputs)
    return outputs, tape.gradient(outputs[:-1], inputs, [tf.constant(array) for array in upstreams])


def _with_jax(function, inputs, upstreams):
    import jax

    def split(*inputs):
        *values, indices = function(*inputs)
        return values, indices

    values, pull_back, indices = jax.vjp(split, *map(jax.numpy.asarray, inputs), has_aux=True)
    return [*values, indices], pull_back([jax.numpy.asarray(array) for array in upstreams])


def _with_torch(function, inputs, upstreams):
    import torch

    def tensor(array):
        # PyTorch does not know NumPy's bfloat16.
        if array.dtype.name == "bfloat16":
            return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(array.copy())

    inputs = [tensor(array).requires_grad_() for array in inputs]
    outputs = function(*inputs)
    return outputs, torch.autograd.grad(outputs[:-1], inputs, [tensor(array) for array in upstreams])


_RUN = {"tensorflow": _with_tensorflow, "jax": _with_jax, "torch": _with_torch}
