"""The dense CRF in float64 with every pair of pixels written out, after Krähenbühl and Koltun's equations."""

import numpy as np


def gaussians(image, smoothness_deviation=3.0, appearance_deviation=80.0, colour_deviation=13.0, reach=None):
    """The kernels of smoothness and of appearance, `(pixels, pixels)`, 0 outside the window; not yet normalised."""
    height, width = image.shape[:2]
    place = np.array([(row, column) for row in range(height) for column in range(width)], np.float64)
    colour = image.reshape(-1, 3).astype(np.float64)
    apart = place[:, None] - place[None]
    distance = (apart**2).sum(axis=-1)
    contrast = ((colour[:, None] - colour[None]) ** 2).sum(axis=-1)
    both = [
        np.exp(-distance / (2 * smoothness_deviation**2)),
        np.exp(-distance / (2 * appearance_deviation**2) - contrast / (2 * colour_deviation**2)),
    ]
    if reach is not None:
        both = [kernel * (np.abs(apart).max(axis=-1) <= reach) for kernel in both]
    return both


def kernels(*arguments, **options):
    """The same, normalised."""
    return [normalize(kernel) for kernel in gaussians(*arguments, **options)]


def normalize(kernel):
    sums = kernel.sum(axis=1)
    return kernel / np.sqrt(np.outer(sums, sums))


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def mean_field(scores, kernels, weights, iterations, compatibility=None):
    """From scores `(height, width, classes)`, by kernels with a weight each, a number or one a class."""
    unary = scores.reshape(-1, scores.shape[-1]).astype(np.float64)
    classes = unary.shape[1]
    if compatibility is None:
        compatibility = 1 - np.eye(classes)
    marginals = softmax(unary)
    for _ in range(iterations):
        # What reaches each pixel of each label, and then what all labels make of it.
        messages = sum(weight * (kernel @ marginals) for kernel, weight in zip(kernels, weights, strict=True))
        marginals = softmax(unary - np.einsum("lm,pm->pl", compatibility, messages))
    return marginals.reshape(scores.shape)
