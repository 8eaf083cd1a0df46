"""The fully connected CRF of Krähenbühl and Koltun (2011), which draws labels to the edges of the image.

DeepLab's post-processing, and so that of a rival in the paper's tables 3 and 4.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from keras_segnet.data.geometry import Window
from keras_segnet.inference.permutohedral import PermutohedralLattice
from keras_segnet.inference.segmenters import Prediction, Segmenter

SMALLEST_PROBABILITY = 1e-5
"""Lower bound of the network's probabilities: below it, no neighbour could change a pixel's label."""

CHANNELS = 64
"""Number of classes that OpenCV filters at once; it accepts at most 128 or 512 channels, depending on its version."""

PART = 16384
"""Number of pixels that are updated at once."""

Filter = Callable[[np.ndarray], np.ndarray]
"""Function that filters float32 `(pixels, classes)`, each class by itself, and returns the same shape."""


def dense_crf(
    probabilities: np.ndarray,
    image: np.ndarray,
    *,
    iterations: int = 10,
    smoothness_weight: float = 3.0,
    smoothness_deviation: float = 3.0,
    appearance_weight: float = 10.0,
    appearance_deviation: float = 80.0,
    colour_deviation: float = 13.0,
) -> np.ndarray:
    """Refines the class probabilities of one image by a CRF that connects every pixel with every other.

    Two pixels that have different labels (Potts model) cost

        `smoothness_weight * exp(-|p_i - p_j|^2 / (2 smoothness_deviation^2))
        + appearance_weight * exp(-|p_i - p_j|^2 / (2 appearance_deviation^2) - |I_i - I_j|^2 / (2 colour_deviation^2))`

    with positions p in pixels and colours I, equation 3 of Efficient Inference in Fully Connected CRFs with Gaussian
    Edge Potentials (2011). Each of the two kernels is normalised as in the authors' code, symmetrically: divided by the
    roots of its sums over all pixels, at i and at j; pixels take part in their own sums. The mean field is iterated in
    parallel from the network's probabilities. The kernel of position alone is exact up to four deviations; that of
    position and colour is filtered by a `PermutohedralLattice`, an approximation.

    Args:
        probabilities: float `(height, width, classes)`, as a `Segmenter` gives them. Values below 1e-5 count as 1e-5.
        image: RGB 0..255 `(height, width, 3)`, uint8 or float.
        iterations: of the mean field. Default 10, as the authors and DeepLab do.
        smoothness_weight: w2 of the paper. The defaults of weights and deviations are those of the authors' example.
        smoothness_deviation: theta_gamma, pixels.
        appearance_weight: w1.
        appearance_deviation: theta_alpha, pixels.
        colour_deviation: theta_beta, in units of the colours 0..255.

    Returns:
        float32 `(height, width, classes)`: the mean field's probabilities, which sum to 1 at each pixel.

    Raises:
        ValueError: a shape or a number is not one of the above; weights and iterations may be 0, deviations not.
    """
    if probabilities.ndim != 3 or image.shape != (*probabilities.shape[:2], 3):
        raise ValueError(
            "dense_crf takes probabilities (height, width, classes) and an image (height, width, 3) of the same height "
            f"and width; their shapes are {probabilities.shape} and {image.shape}."
        )
    weights = {"smoothness_weight": smoothness_weight, "appearance_weight": appearance_weight, "iterations": iterations}
    for name, value in weights.items():
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a finite number and not negative; it is {value!r}.")
    deviations = {
        "smoothness_deviation": smoothness_deviation,
        "appearance_deviation": appearance_deviation,
        "colour_deviation": colour_deviation,
    }
    for name, value in deviations.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a finite number above 0; it is {value!r}.")

    height, width, classes = probabilities.shape
    kernels: list[tuple[float, Filter]] = []
    if smoothness_weight:
        kernels.append((smoothness_weight, position_filter((height, width), smoothness_deviation)))
    if appearance_weight:
        features = position_and_colour(image, appearance_deviation, colour_deviation)
        kernels.append((appearance_weight, PermutohedralLattice(features).filter))
    clipped = np.maximum(probabilities.reshape(-1, classes), SMALLEST_PROBABILITY, dtype=np.float32)
    return mean_field(np.log(clipped), kernels, iterations).reshape(probabilities.shape)


def mean_field(log_probabilities: np.ndarray, kernels: Sequence[tuple[float, Filter]], iterations: int) -> np.ndarray:
    """Parallel mean-field updates of a Potts model (the paper's algorithm 1).

    Args:
        log_probabilities: float32 `(pixels, classes)`, the negative unary energy.
        kernels: weight of each kernel, and what filters by it: `filter(v)[i]` is the sum over j of `k(i, j) v[j]`. They
            are normalised here.
        iterations: number of updates.

    Returns:
        float32 `(pixels, classes)`.
    """
    ones = np.ones((len(log_probabilities), 1), np.float32)
    roots = [1 / np.sqrt(kernel(ones)) for _, kernel in kernels]
    weighted_roots = [np.float32(weight) * root for (weight, _), root in zip(kernels, roots, strict=True)]
    marginals = _update(log_probabilities, [])
    for _ in range(iterations):
        filtered = [kernel(root * marginals) for (_, kernel), root in zip(kernels, roots, strict=True)]
        marginals = _update(log_probabilities, list(zip(weighted_roots, filtered, strict=True)))
    return marginals


def position_filter(size: tuple[int, int], deviation: float) -> Filter:
    """Sums over the image of `exp(-|p_i - p_j|^2 / (2 deviation^2))`, cut off at four deviations along each axis."""
    reach = min(math.ceil(4 * deviation), max(size) - 1)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2).astype(np.float32)

    def apply(values: np.ndarray) -> np.ndarray:
        maps = values.reshape(*size, -1)
        parts = [
            cv2.sepFilter2D(maps[..., first : first + CHANNELS], -1, taps, taps, borderType=cv2.BORDER_CONSTANT)
            for first in range(0, maps.shape[-1], CHANNELS)
        ]
        return (parts[0] if len(parts) == 1 else np.dstack(parts)).reshape(values.shape)

    return apply


def position_and_colour(image: np.ndarray, deviation: float, colour_deviation: float) -> np.ndarray:
    """Row, column and colours of each pixel in units of their deviations: float32 `(pixels, 5)`."""
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / np.float32(deviation)
    colours = image.astype(np.float32) / np.float32(colour_deviation)
    return np.dstack([rows, columns, colours]).reshape(height * width, -1)


class DenseCRFSegmenter(Segmenter):
    """A segmenter whose probabilities `dense_crf` refines, with its defaults, at the own size of each image or part."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.segmenter = segmenter
        self.num_classes = segmenter.num_classes
        self.input_size = segmenter.input_size
        self.fit = segmenter.fit
        self.batch_size = segmenter.batch_size

    def run_with_uncertainty(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self.segmenter.run_with_uncertainty(images)

    def run(self, images: np.ndarray) -> np.ndarray:
        return self.segmenter.run(images)

    def restore(
        self, window: Window, image: np.ndarray, probabilities: np.ndarray, uncertainty: np.ndarray | None
    ) -> Prediction:
        coarse = self.segmenter.restore(window, image, probabilities, uncertainty)
        return Prediction(dense_crf(coarse.probabilities, window.part(image)), coarse.uncertainty)


def _update(log_probabilities: np.ndarray, messages: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Marginals after messages, each a factor `(pixels, 1)` and what a kernel gave `(pixels, classes)`.

    In the Potts model a label's cost is what the neighbours give to all others. Softmax does not mind a constant, so it
    is as good to reward what they give to the label itself.
    """
    marginals = np.empty_like(log_probabilities)
    ones = np.ones(log_probabilities.shape[1], np.float32)
    # In parts that stay in the processor's cache.
    for first in range(0, len(marginals), PART):
        part = slice(first, first + PART)
        scores = log_probabilities[part].copy()
        for factor, filtered in messages:
            scores += factor[part] * filtered[part]
        # Class by class: numpy's maximum along so short an axis takes longer than all the rest.
        scores -= functools.reduce(np.maximum, scores.T)[:, None]
        np.exp(scores, out=scores)
        np.divide(scores, (scores @ ones)[:, None], out=marginals[part])
    return marginals
