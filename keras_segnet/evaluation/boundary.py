"""Boundary F1, the paper's BF: how well the outlines of the classes are met (section 4; Csurka et al., BMVC 2013).

    boundary    a pixel lies on the boundary of a class where the 2x2 pixels of which it is the upper left one are
                partly of the class and partly not. That is a line one pixel wide, half a pixel up and left of where the
                label changes, as `seg2bdry(..., 'imageSize')` of the released script draws it, and Berkeley's
                `seg2bmap`: where two classes meet, both have the same line. At the last row and column, where the 2x2
                pixels reach beyond the image, those that are in it count, so the image's own frame is no boundary.
    tolerance   0.75 % of the image's diagonal, 4.5 pixels at 360x480; a distance that is exactly it is within.
    precision   share of the pixels of the predicted boundary that are matched in the labelled one.
    recall      share of the pixels of the labelled boundary that are matched in the predicted one.
    F1          2 * precision * recall / (precision + recall); 0 where nothing is matched.
    score       the mean of F1 over the classes of an image that count, and of that over the images.

What the paper and the released script (Scripts/computeBFmeasure.m of SegNet-Tutorial) do differently has a name each:

    counting    "ground_truth", the paper: the classes that the labels of the image hold. One of them without a boundary
                on either side, as where it fills the image, has no F1 and is left out.
                "boundary", the script: the classes with a boundary in the labels or in the prediction.
    matching    "distance": a pixel is matched if the other boundary has a pixel within the tolerance.
                "one_to_one", the script, which has it of Berkeley's `correspondPixels`: a pixel is matched with one
                pixel of the other boundary within the tolerance, and each is in one pair only. As many pairs are made
                as can be; so they are by the script, where an unmatched pixel costs a hundred times the tolerance.

Ignored pixels, which the script takes for one class more, take no part here: a boundary pixel, labelled or predicted,
does not count where an ignored pixel is among its 2x2. An image in which no class counts is left out of the mean, where
the script would add 0.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import cv2
import keras
import numpy as np
from keras import ops

COUNTING = ("ground_truth", "boundary")
MATCHING = ("distance", "one_to_one")
TOLERANCE = 0.0075
"""Part of the image's diagonal, the paper's."""


def boundary_f1(
    label: np.ndarray,
    prediction: np.ndarray,
    num_classes: int,
    ignore_class: int | None = None,
    counting: str = "ground_truth",
    matching: str = "distance",
    tolerance: float = TOLERANCE,
) -> np.ndarray:
    """Boundary F1 of each class in one image.

    Args:
        label: integers `(height, width)`.
        prediction: integers `(height, width)`.
        num_classes: number of classes, without the ignored one.
        ignore_class: label value that is left out, or None.
        counting: one of `COUNTING`, see the module.
        matching: one of `MATCHING`.
        tolerance: part of the image's diagonal.

    Returns:
        float64 `(num_classes,)`, NaN for a class that does not count.
    """
    within = tolerance * float(np.hypot(*label.shape))
    ignored = np.zeros(label.shape, bool) if ignore_class is None else label == ignore_class
    counted = ~_in_blocks(ignored)[0]
    scores = np.full(num_classes, np.nan)
    for c in range(num_classes):
        true = _boundary(label == c) & counted
        predicted = _boundary(prediction == c) & counted
        true_pixels, predicted_pixels = np.count_nonzero(true), np.count_nonzero(predicted)
        counts = true_pixels or predicted_pixels
        if counting == "ground_truth":
            counts = counts and (label == c).any()
        if not counts:
            continue
        if not (true_pixels and predicted_pixels):
            scores[c] = 0.0
            continue
        if matching == "distance":
            precision = _near(predicted, true, within) / predicted_pixels
            recall = _near(true, predicted, within) / true_pixels
        else:
            pairs = _pairs(true, predicted, within)
            precision, recall = pairs / predicted_pixels, pairs / true_pixels
        scores[c] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


def _in_blocks(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether any, and whether all, of the 2x2 pixels of which a pixel is the upper left one are in a mask."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    block = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return block[0] | block[1] | block[2] | block[3], block[0] & block[1] & block[2] & block[3]


def _boundary(mask: np.ndarray) -> np.ndarray:
    any_of_block, all_of_block = _in_blocks(mask)
    return any_of_block & ~all_of_block


def _near(boundary: np.ndarray, other: np.ndarray, within: float) -> int:
    """How many pixels of a boundary have one of the other near them."""
    distances = cv2.distanceTransform((~other).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return int(np.count_nonzero(distances[boundary] <= within))


def _pairs(boundary: np.ndarray, other: np.ndarray, within: float) -> int:
    """How many pairs of near pixels can be made, one of each boundary, no pixel in two."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    reach = int(within)
    steps = np.arange(-reach, reach + 1)
    rows, columns = (offset.ravel() for offset in np.meshgrid(steps, steps, indexing="ij"))
    squares = rows**2 + columns**2
    # The nearest come first, so that the first guess at the pairs is nearly the best.
    order = np.argsort(squares, kind="stable")[: np.count_nonzero(squares <= within**2)]
    numbers = np.full((other.shape[0] + 2 * reach, other.shape[1] + 2 * reach), -1, np.int32)
    inside = numbers[reach : reach + other.shape[0], reach : reach + other.shape[1]]
    total = np.count_nonzero(other)
    inside[other] = np.arange(total, dtype=np.int32)
    y, x = (places[:, None].astype(np.int32) + reach for places in np.nonzero(boundary))
    near = numbers[y + rows[order], x + columns[order]]
    found = near >= 0
    starts = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32)
    neighbours = near[found]
    graph = csr_array((np.ones(neighbours.size, np.int8), neighbours, starts), shape=(len(near), total))
    return int(np.count_nonzero(maximum_bipartite_matching(graph, perm_type="column") >= 0))


@keras.saving.register_keras_serializable("keras_segnet")
class BoundaryF1(keras.metrics.Metric):
    """Boundary F1, averaged over the classes of an image and then over images; see the module for what each means.

    It works on whole images, on the CPU, with a thread for each core. `model.compile(metrics=[...])` takes it with
    `run_eagerly=True` only; `keras_segnet.evaluation.evaluate.evaluate` feeds it at the labels' own resolution.

    Args:
        num_classes: number of classes, without the ignored one.
        ignore_class: label value that is left out, or None. Default None.
        counting: which classes of an image count: `"ground_truth"` (default, the paper) or `"boundary"` (the released
            script).
        matching: `"distance"` (default) or `"one_to_one"` (the released script).
        tolerance: part of the image's diagonal. Default 0.0075, the paper's.
        name: of the metric.
        dtype: of its result.

    Raises:
        ValueError: an argument is not one of the above.

    Example:

    >>> boundary = BoundaryF1(num_classes=2)
    >>> boundary.update_state([[[0, 0, 1], [0, 0, 1], [0, 0, 1]]], [[[0, 1, 1], [0, 1, 1], [0, 1, 1]]])
    >>> boundary.result()
    0.0
    """

    def __init__(
        self,
        num_classes: int,
        ignore_class: int | None = None,
        counting: str = "ground_truth",
        matching: str = "distance",
        tolerance: float = TOLERANCE,
        name: str | None = "boundary_f1",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        for argument, value, allowed in (("counting", counting, COUNTING), ("matching", matching, MATCHING)):
            if value not in allowed:
                raise ValueError(f"{argument} must be one of {', '.join(allowed)}; not {value!r}.")
        if not tolerance >= 0:
            raise ValueError(f"tolerance must be a part of the image's diagonal, at least 0; not {tolerance!r}.")
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.counting = counting
        self.matching = matching
        self.tolerance = tolerance
        self._threads: ThreadPoolExecutor | None = None
        self.reset_state()

    def reset_state(self) -> None:
        self._waiting: deque[Future[float]] = deque()
        self._scores: list[float] = []

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds images. They are scored while the caller goes on.

        Args:
            y_true: integer labels `(batch, height, width)`, with or without a last dimension of 1; or `(height, width)`
                of one image.
            y_pred: probabilities or logits `(batch, height, width, num_classes)`, or classes in the shape of the
                labels.
            sample_weight: must be None.

        Raises:
            ValueError: the shapes do not go together, there is a `sample_weight`, or the call is part of a compiled
                function.
        """
        if sample_weight is not None:
            raise ValueError(f"{self.name} is an average over images and takes no sample_weight.")
        labels, predictions = self._in_numpy(y_true), self._in_numpy(y_pred)
        if labels.ndim == 4 and labels.shape[-1] == 1:
            labels = labels[..., 0]
        if predictions.ndim == labels.ndim + 1:
            predictions = predictions.argmax(axis=-1)
        if labels.shape != predictions.shape or labels.ndim not in (2, 3):
            raise ValueError(f"labels have shape {labels.shape} and predictions {predictions.shape}; they must agree.")
        if labels.ndim == 2:
            labels, predictions = labels[None], predictions[None]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(os.cpu_count())
        for label, prediction in zip(labels, predictions, strict=True):
            self._waiting.append(self._threads.submit(self._score, label, prediction))
        self._collect(leave=QUEUE)

    def result(self) -> float:
        """The mean over all images so far, a fraction of 1; NaN if no class counts in any of them."""
        self._collect(leave=0)
        scores = [score for score in self._scores if not np.isnan(score)]
        return float(np.mean(scores)) if scores else float("nan")

    def _score(self, label: np.ndarray, prediction: np.ndarray) -> float:
        scores = boundary_f1(
            label, prediction, self.num_classes, self.ignore_class, self.counting, self.matching, self.tolerance
        )
        return float(np.nanmean(scores)) if not np.isnan(scores).all() else float("nan")

    def _collect(self, leave: int) -> None:
        while len(self._waiting) > leave:
            self._scores.append(self._waiting.popleft().result())

    def _in_numpy(self, values: Any) -> np.ndarray:
        try:
            return ops.convert_to_numpy(values)
        except Exception as error:  # Each backend has an error of its own for a tensor without a value.
            raise ValueError(
                f"{self.name} needs values and got {values!r}: compile with run_eagerly=True, or score the model after "
                "training."
            ) from error

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "ignore_class": self.ignore_class,
            "counting": self.counting,
            "matching": self.matching,
            "tolerance": self.tolerance,
        }


QUEUE = 16
"""Images that may wait to be scored. More would only take memory, and let progress run ahead."""

__all__ = ["COUNTING", "MATCHING", "TOLERANCE", "BoundaryF1", "boundary_f1"]
