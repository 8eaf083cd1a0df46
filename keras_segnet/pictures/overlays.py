"""Pictures of labels. Arrays are uint8, colours RGB."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from keras_segnet.data.dataset import Classes

RIGHT, WRONG, IGNORED = (235, 235, 235), (200, 30, 30), (0, 0, 0)


def colourize(label: np.ndarray, classes: Classes) -> np.ndarray:
    """Paints each class in its colour: `(height, width)` to `(height, width, 3)`.

    Ignored pixels are black, or light grey where a class is black.
    """
    palette = np.full((256, 3), classes.ignored_colour, np.uint8)
    palette[: len(classes)] = classes.colours
    return palette[label]


def overlay(
    image: np.ndarray, label: np.ndarray, classes: Classes, opacity: float = 0.5, background: int | None = None
) -> np.ndarray:
    """The image with its classes painted over it: `(height, width, 3)`.

    Args:
        image: RGB `(height, width, 3)`.
        label: the class of each pixel, `(height, width)`.
        classes: whose colours are painted.
        opacity: of the colours, from 0 to 1. Default 0.5.
        background: a class whose pixels stay as they are. Default: there is none.
    """
    blended = (1 - opacity) * image.astype(np.float32) + opacity * colourize(label, classes).astype(np.float32)
    painted = np.rint(blended).astype(np.uint8)
    if background is not None:
        painted[label == background] = image[label == background]
    return painted


class Paint(NamedTuple):
    """How overlays are painted: the last arguments of `overlay`."""

    classes: Classes
    opacity: float = 0.5
    background: int | None = None


def comparison(image: np.ndarray, truth: np.ndarray, prediction: np.ndarray, classes: Classes) -> np.ndarray:
    """Image, truth, prediction and errors (red; ignored pixels black) side by side: `(height, 4 * width, 3)`."""
    errors = np.empty_like(image)
    errors[:] = RIGHT
    errors[truth != prediction] = WRONG
    if classes.ignored is not None:
        errors[truth == classes.ignored] = IGNORED
    return np.hstack([image, colourize(truth, classes), colourize(prediction, classes), errors])
