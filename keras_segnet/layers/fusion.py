"""A layer's function as one kernel, and its gradient as another, where TensorFlow is the backend.

TensorFlow's ops run one after the other, each over a whole map; XLA makes one pass of them. Compiled so, pooling takes
a third of the time of `tf.nn.max_pool_with_argmax` in float32 and a tenth in bfloat16 (TensorFlow 2.21, CPU), and
gives the same. JAX fuses by itself what it compiles.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import keras

from keras_segnet.layers.tensor import Tensor

LEAST_FUSED = 2**16
"""Smallest feature map, in elements, whose functions are compiled; each compilation takes a tenth of a second."""

F = TypeVar("F", bound=Callable[..., Any])


def fused(function: F) -> F:
    """`function` of tensors, geometry and sizes, compiled wherever a graph of TensorFlow calls it with known sizes.

    Eagerly and with unknown sizes it runs as it is: there each new size would be compiled anew, and kept.
    """

    @functools.cache
    def compiled() -> Any:
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)

    @functools.wraps(function)
    def choose(*arguments: Any) -> Any:
        return (compiled() if _is_worth_compiling(arguments) else function)(*arguments)

    return choose  # type: ignore[return-value]


def _is_worth_compiling(arguments: tuple[Any, ...]) -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if tf.executing_eagerly():
        return False
    tensors = [argument for argument in tf.nest.flatten(arguments) if tf.is_tensor(argument)]
    maps = [tensor.shape[1:] for tensor in tensors if tensor.shape.rank == 4]
    known = len(maps) == len(tensors) and all(shape.is_fully_defined() for shape in maps)
    return known and max(math.prod(shape) for shape in maps) >= LEAST_FUSED


def with_gradient(function: Callable[[Tensor], Any], gradient: Callable[[Any, Tensor], Tensor], x: Tensor) -> Any:
    """`function(x)`, whose gradient on TensorFlow is `gradient(outputs, upstream of the first output)`.

    TensorFlow would keep what the function computes on its way, and go back the same way op by op.
    """
    if keras.backend.backend() != "tensorflow":
        return function(x)
    import tensorflow as tf

    @tf.custom_gradient
    def run(x: Tensor) -> Any:
        outputs = function(x)
        return outputs, lambda upstream, *_: gradient(outputs, upstream)

    return run(x)


__all__ = ["LEAST_FUSED", "fused", "with_gradient"]
