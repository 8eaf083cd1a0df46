"""Opens what users call a model: a file, a name, a Keras model; with what refines its predictions."""

from __future__ import annotations

import os
from typing import Any

from keras_segnet.errors import InputError
from keras_segnet.inference.crf import DenseCRFSegmenter
from keras_segnet.inference.flip import FlipAveraging
from keras_segnet.inference.monte_carlo import MonteCarloSegmenter, load_monte_carlo_segmenter
from keras_segnet.inference.segmenters import KerasSegmenter, Segmenter, load_segmenter


def open_segmenter(model: Any, *, samples: int | None = None, flip: bool = False, crf: bool = False) -> Segmenter:
    """A segmenter of a model file, of the name of a trained network, of a Keras model, or one that is open already.

    Args:
        model: path, name, `keras.Model` or `Segmenter`.
        samples: passes with dropout on, of a Keras model. Default: one pass without dropout.
        flip: average over each image and its mirror image.
        crf: refine predictions by a dense CRF.

    Raises:
        InputError: `model` is none of these, or has no dropout to sample.
    """
    import keras

    if isinstance(model, Segmenter):
        if samples is not None:
            raise InputError(f"samples is for Keras models and their files, not for a {type(model).__name__}.")
        segmenter = model
    elif isinstance(model, keras.Model):
        segmenter = KerasSegmenter(model) if samples is None else MonteCarloSegmenter(model, samples)
    elif isinstance(model, str | os.PathLike):
        segmenter = load_segmenter(model) if samples is None else load_monte_carlo_segmenter(model, samples)
    else:
        raise InputError(f"model must be a path, a name, a Keras model or a segmenter; not {type(model).__name__}.")
    if flip:
        segmenter = FlipAveraging(segmenter)
    return DenseCRFSegmenter(segmenter) if crf else segmenter
