"""Opens what users call a model: a file, a name, a Keras model; with what refines its predictions."""

from __future__ import annotations

import copy
import os
from typing import Any

from keras_segnet.data.geometry import AUTO, LARGEST_SHRINK, STRETCH, Fit
from keras_segnet.errors import InputError
from keras_segnet.inference.crf import DenseCRFSegmenter
from keras_segnet.inference.flip import FlipAveraging
from keras_segnet.inference.monte_carlo import MonteCarloSegmenter, load_monte_carlo_segmenter
from keras_segnet.inference.segmenters import KerasSegmenter, Segmenter, load_segmenter


def open_segmenter(
    model: Any,
    *,
    samples: int | None = None,
    flip: bool = False,
    crf: bool = False,
    fit: str | None = None,
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
) -> Segmenter:
    """A segmenter of a model file, of the name of a trained network, of a Keras model, or one that is open already.

    Args:
        model: path, name, `keras.Model` or `Segmenter`.
        samples: passes with dropout on, of a Keras model. Default: one pass without dropout.
        flip: average over each image and its mirror image.
        crf: refine predictions by a dense CRF.
        fit: the rule by which images become inputs, see `keras_segnet.data.geometry.Fit`. Default: the model's; "auto"
            for a model that says none, but "stretch" for a `Segmenter`.
        tile: height and width of parts of images, in their pixels, each of which becomes an input. Default: by `fit`.
        overlap: pixels that such parts share at least. Default: a quarter of a part.

    Raises:
        InputError: `model` is none of these, or has no dropout to sample; or there is no such rule.
    """
    import keras

    if isinstance(model, Segmenter):
        if samples is not None:
            raise InputError(f"samples is for Keras models and their files, not for a {type(model).__name__}.")
        segmenter = copy.copy(model)  # Which gets a rule of its own here.
    elif isinstance(model, keras.Model):
        segmenter = KerasSegmenter(model) if samples is None else MonteCarloSegmenter(model, samples)
    elif isinstance(model, str | os.PathLike):
        segmenter = load_segmenter(model) if samples is None else load_monte_carlo_segmenter(model, samples)
    else:
        raise InputError(f"model must be a path, a name, a Keras model or a segmenter; not {type(model).__name__}.")
    known = segmenter.fit or (STRETCH if isinstance(model, Segmenter) else AUTO)
    if fit is None and tile is None and overlap is None:
        segmenter.fit = known
    else:
        segmenter.fit = Fit(fit or (known.rule if tile is None else "tile"), known.image_scale, tile, overlap)
    if flip:
        segmenter = FlipAveraging(segmenter)
    return DenseCRFSegmenter(segmenter) if crf else segmenter


def said_of_tiles(segmenter: Segmenter, tiled: int, images: int) -> str:
    """What there is to say where `auto` has chosen tiles; empty where it has not.

    Args:
        segmenter: what labels.
        tiled: number of images that are labelled in tiles.
        images: number of all.
    """
    if not tiled or segmenter.fit is None or segmenter.fit.rule != "auto" or segmenter.input_size is None:
        return ""
    height, width = segmenter.input_size
    return (
        f"{tiled} of {images} images are more than {LARGEST_SHRINK:g} times as high or wide as the network's input, "
        f"{height}x{width}: labelling them in overlapping tiles, because shrinking would lose more than that. The "
        "settings tile and overlap set their size; fit stretch shrinks all the same."
    )
