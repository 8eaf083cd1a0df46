"""Monte-Carlo dropout: what a network knows, and how sure it is of it (Bayesian SegNet, arXiv 1511.02680)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.inference.segmenters import KerasSegmenter, fit_beside, load_keras_model
from keras_segnet.inference.segmenters.base import are_probabilities, softmax
from keras_segnet.progress import Progress, silent

SAMPLES = 50
"""Number of passes, as in the paper; about 40 are as good, and about 6 beat the network without dropout."""

DROPOUTS = (keras.layers.Dropout, keras.layers.AlphaDropout, keras.layers.GaussianDropout)
"""Layers that count as dropout; SpatialDropout2D and its kin are Dropouts too."""


@dataclass(frozen=True)
class UncertainPrediction:
    """Mean prediction and uncertainty of a network with dropout, for some images.

    Attributes:
        probabilities: float32 `(batch, height, width, classes)`, mean of the samples.
        uncertainty: float32 `(batch, height, width)`, variance of the samples (divided by their number), averaged over
            the classes: the paper's model uncertainty. 0 where all samples agree; at most 1 over the number of classes.
    """

    probabilities: np.ndarray
    uncertainty: np.ndarray


def predict_with_uncertainty(
    model: keras.Model,
    images: np.ndarray,
    samples: int = SAMPLES,
    *,
    seed: int = 0,
    batch_size: int = 4,
    progress: Progress = silent,
) -> UncertainPrediction:
    """Predicts many times with dropout on, and gives mean and variance of the class probabilities.

    Only dropout is on: batch normalisation uses its moving statistics, as in any prediction. The model itself is not
    changed. Memory does not grow with the number of samples. The same seed, batch size and backend give the same
    samples.

    Args:
        model: functional or sequential, with dropout layers, such as
            `build_segnet(dropout=0.5)` makes, trained or loaded from a .keras file.
        images: RGB 0..255 `(batch, height, width, 3)`, uint8 or float, of a size that the model takes.
        samples: forward passes of each image. Default 50, as the paper.
        seed: of the dropout, an int from 0 up.
        batch_size: images, or samples of one image, that go through the network at once. Default 4.
        progress: shows how far it is.

    Raises:
        InputError: the model has no dropout layer, so its samples would not vary.
        ValueError: an argument is not one of the above.
    """
    images = np.asarray(images)
    if images.ndim != len(model.input_shape) or not len(images):
        raise ValueError(
            f"images must be a batch (batch, height, width, 3) of at least one; their shape is {images.shape}."
        )
    for name, value, least in (("samples", samples, 1), ("batch_size", batch_size, 1), ("seed", seed, 0)):
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be an int of at least {least}, not {value!r}.")
    sampler = _sampler_of(model)
    sampler.restart(seed)

    # A batch that has few images is filled with samples of them.
    passes = []
    for first in range(0, len(images), batch_size):
        copies = min(samples, max(1, batch_size // len(images[first : first + batch_size])))
        passes += [(first, copies, min(copies, samples - done)) for done in range(0, samples, copies)]
    means, variances = [], []
    for first, group in groupby(progress(passes, len(passes), "Sampling with dropout"), itemgetter(0)):
        part = images[first : first + batch_size]
        mean, variance = _mean_and_variance(
            sample for _, copies, wanted in group for sample in sampler.draw(part, copies)[:wanted]
        )
        means.append(mean.astype(np.float32))
        variances.append(variance.mean(axis=-1).astype(np.float32))
    return UncertainPrediction(np.concatenate(means), np.concatenate(variances))


def _mean_and_variance(samples: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """One sample at a time, by Welford's updates, which do not cancel."""
    mean = deviations = np.zeros(())
    for count, sample in enumerate(samples, start=1):
        from_old_mean = sample - mean
        mean = mean + from_old_mean / count
        deviations = deviations + from_old_mean * (sample - mean)
    return mean, deviations / count


class _AlwaysOn(keras.layers.Layer):
    """A dropout layer of its own seed that drops in predictions too."""

    def __init__(self, dropout: keras.layers.Layer) -> None:
        super().__init__(name=dropout.name, dtype=dropout.dtype_policy)
        self.dropout = type(dropout).from_config({**dropout.get_config(), "seed": 0})

    def call(self, inputs: Any) -> Any:
        return self.dropout(inputs, training=True)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def restart(self, seed: int) -> None:
        self.dropout.seed_generator.state.assign([seed, 0])


class _Sampler:
    """A model's twin that shares all layers with it but dropout, which is always on."""

    def __init__(self, model: keras.Model) -> None:
        self._dropouts: list[_AlwaysOn] = []

        def share(layer: keras.layers.Layer) -> keras.layers.Layer:
            if not (isinstance(layer, DROPOUTS) and layer.rate > 0):
                return layer
            self._dropouts.append(_AlwaysOn(layer))
            return self._dropouts[-1]

        try:
            self._model = keras.models.clone_model(model, clone_function=share, recursive=True)
        except ValueError as error:
            raise InputError(
                f"{model.name} is neither functional nor sequential; its dropout cannot be kept on."
            ) from error
        if not self._dropouts:
            raise InputError(
                f"{model.name} has no dropout layer, so its predictions would not vary; build and train it with "
                "dropout, as in build_segnet(dropout=0.5)."
            )

    def restart(self, seed: int) -> None:
        """Takes all dropout layers to the beginning of random streams that the seed names."""
        streams = np.random.default_rng(seed).integers(2**31, size=len(self._dropouts))
        for layer, stream in zip(self._dropouts, streams, strict=True):
            layer.restart(int(stream))

    def draw(self, images: np.ndarray, copies: int) -> np.ndarray:
        """Samples of the class probabilities of a batch: `(copies, batch, height, width, classes)`."""
        outputs = np.asarray(self._model.predict_on_batch(np.concatenate([images] * copies)), np.float64)
        if not are_probabilities(outputs):
            outputs = softmax(outputs)
        return outputs.reshape(copies, len(images), *outputs.shape[1:])


_samplers: WeakKeyDictionary[keras.Model, _Sampler] = WeakKeyDictionary()


def _sampler_of(model: keras.Model) -> _Sampler:
    """Made once for a model, because Keras compiles it anew each time."""
    if model not in _samplers:
        _samplers[model] = _Sampler(model)
    return _samplers[model]


class MonteCarloSegmenter(KerasSegmenter):
    """A Keras model whose probabilities are the mean of samples with dropout on.

    Every image gets the same random streams, so its result does not depend on the images before or beside it; samples
    of one image fill the batches.

    Args:
        model, samples, seed: as in `predict_with_uncertainty`.

    Raises:
        InputError: the model has no dropout layer.
    """

    batch_size = 1

    def __init__(self, model: keras.Model, samples: int = SAMPLES, seed: int = 0) -> None:
        super().__init__(model)
        _sampler_of(model)
        self.samples = samples
        self.seed = seed

    def run(self, images: np.ndarray) -> np.ndarray:
        return self.run_with_uncertainty(images)[0]

    def run_with_uncertainty(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [predict_with_uncertainty(self._folded, image[None], self.samples, seed=self.seed) for image in images]
        return (
            np.concatenate([each.probabilities for each in found]),
            np.concatenate([each.uncertainty for each in found]),
        )


def load_monte_carlo_segmenter(path: str | os.PathLike[str], samples: int = SAMPLES) -> MonteCarloSegmenter:
    """Opens a .keras file to sample with dropout on.

    Raises:
        InputError: it is no .keras file of a segmentation network with dropout.
    """
    path = Path(path)
    if path.exists() and path.suffix != ".keras":
        raise InputError(f"{path} cannot be sampled: dropout is in .keras files only, not in exported ones.")
    model = load_keras_model(path)
    try:
        segmenter = MonteCarloSegmenter(model, samples)
    except InputError as error:
        raise InputError(f"{path} cannot be sampled: {error}") from error
    segmenter.fit = fit_beside(path)
    return segmenter
