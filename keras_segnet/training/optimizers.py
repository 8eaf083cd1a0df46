"""Muon for convolutional networks."""

from __future__ import annotations

import math
import re
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("keras_segnet")
class ConvolutionMuon(keras.optimizers.Muon):
    """Muon on the kernels of convolutions, AdamW on everything else.

    Muon steps along the momentum of a weight matrix with all its singular values made (nearly) equal, scaled so that
    learning rates mean what they do for AdamW (arXiv 2502.16982). Keras's own does that for dense layers and leaves
    convolutions to AdamW. A kernel `(rows, columns, inputs, filters)` is a matrix too: a column for each filter.

    Args:
        exclude_layers: regular expressions; a kernel whose path has a match for one of them is left to AdamW, as that
            of a classifier should be, whose filters are classes. Default None: none is.
        **kwargs: as for `keras.optimizers.Muon`. AdamW's learning rate is `learning_rate` times `adam_lr_ratio`.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4 or any(re.search(layer, variable.path) for layer in self.exclude_layers)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        return ops.reshape(super().zeropower_via_newtonschulz5(matrix, steps), x.shape)

    def lr_adjust(self, x: Any) -> Any:
        if self.rms_rate is None:
            return x
        return x * (math.sqrt(max(math.prod(x.shape[:-1]), x.shape[-1])) * self.rms_rate)


__all__ = ["ConvolutionMuon"]
