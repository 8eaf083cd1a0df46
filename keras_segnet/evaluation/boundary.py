"""Boundary F1, the paper's BF: how well a prediction meets the outlines of the classes (section 4).

    boundary    A pixel lies on the boundary of a class where the 2x2 pixels of which it is the upper left one are
                partly of the class and partly not. That is a line one pixel wide, half a pixel up and left of where the
                label changes: `seg2bdry(..., 'imageSize')` of the released script, and Berkeley's `seg2bmap`. Where two
                classes meet, both have the same line. At the last row and column, where the 2x2 pixels reach beyond the
                image, those that are in it count, so the image's own frame is no boundary.
    tolerance   0.75 % of the image's diagonal, 4.5 pixels at 360x480. A distance that is exactly it is within.
    precision   Share of the pixels of the predicted boundary that are matched in the labelled one.
    recall      Share of the pixels of the labelled boundary that are matched in the predicted one.
    F1          2 * precision * recall / (precision + recall); 0 where nothing is matched.
    score       Mean of F1 over the classes of an image that count, then mean over the images.

Two definitions are in use, and they differ by ten points and more. Only figures of one definition can be compared.

    "released"  What Scripts/computeBFmeasure.m of SegNet-Tutorial computes, by which the paper's tables were made:
                a pixel is matched with one pixel of the other boundary, each is in one pair only, and as many pairs are
                made as can be (Berkeley's `correspondPixels`, where an unmatched pixel costs a hundred times the
                tolerance). The classes with a boundary in the labels or in the prediction count. Ignored pixels are one
                class more, which has no score, but along which the other classes have boundaries. An image without any
                boundary scores 0.
    "csurka"    What the paper's text cites (Csurka et al., BMVC 2013): a pixel is matched if the other boundary has a
                pixel within the tolerance. The classes that the labels of the image hold count; one of them without a
                boundary on either side, as where it fills the image, is left out. A boundary pixel, labelled or
                predicted, does not count where an ignored pixel is among its 2x2. An image in which no class counts is
                left out.
"""

from __future__ import annotations

import cv2
import numpy as np

DEFINITIONS = ("released", "csurka")
TOLERANCE = 0.0075
"""Largest distance of near boundary pixels, as part of the image's diagonal; the paper's."""


def boundary_f1(
    label: np.ndarray,
    prediction: np.ndarray,
    num_classes: int,
    ignore_class: int | None = None,
    definition: str = "released",
    tolerance: float = TOLERANCE,
) -> np.ndarray:
    """Boundary F1 of each class in one image.

    Args:
        label: integers `(height, width)`.
        prediction: integers `(height, width)`.
        num_classes: number of classes, without the ignored one.
        ignore_class: label value of pixels without a class, or None.
        definition: one of `DEFINITIONS`, see the module. Default `"released"`, that of the paper's tables.
        tolerance: part of the image's diagonal.

    Returns:
        float64 `(num_classes,)`, NaN for a class that does not count.
    """
    within = tolerance * float(np.hypot(*label.shape))
    one_to_one = definition == "released"
    hidden = np.zeros(label.shape, bool)
    if not one_to_one and ignore_class is not None:
        hidden = _in_blocks(label == ignore_class)[0]
    scores = np.full(num_classes, np.nan)
    for c in range(num_classes):
        true = _boundary(label == c) & ~hidden
        predicted = _boundary(prediction == c) & ~hidden
        labelled, drawn = np.count_nonzero(true), np.count_nonzero(predicted)
        if not (labelled or drawn) or not (one_to_one or (label == c).any()):
            continue
        if not (labelled and drawn):
            scores[c] = 0.0
            continue
        if one_to_one:
            pairs = _pairs(true, predicted, within)
            precision, recall = pairs / drawn, pairs / labelled
        else:
            precision, recall = _near(predicted, true, within) / drawn, _near(true, predicted, within) / labelled
        scores[c] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


def image_score(scores: np.ndarray, definition: str) -> float:
    """The mean of one image's `boundary_f1` over the classes that count; NaN if the image is left out."""
    if np.isnan(scores).all():
        return 0.0 if definition == "released" else float("nan")
    return float(np.nanmean(scores))


def mean_score(images: list[float]) -> float:
    """The mean of `image_score`s, a fraction of 1; NaN if there is none."""
    counted = [score for score in images if not np.isnan(score)]
    return float(np.mean(counted)) if counted else float("nan")


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
    from scipy.sparse.csgraph import maximum_flow

    reach = int(within)
    steps = np.arange(-reach, reach + 1)
    rows, columns = (offset.ravel() for offset in np.meshgrid(steps, steps, indexing="ij"))
    squares = rows**2 + columns**2
    inside_reach = squares <= within**2
    numbers = np.full((other.shape[0] + 2 * reach, other.shape[1] + 2 * reach), -1, np.int32)
    inside = numbers[reach : reach + other.shape[0], reach : reach + other.shape[1]]
    total = np.count_nonzero(other)
    inside[other] = np.arange(total, dtype=np.int32)
    y, x = (places[:, None].astype(np.int32) + reach for places in np.nonzero(boundary))
    near = numbers[y + rows[inside_reach], x + columns[inside_reach]]
    found = near >= 0
    # The most pairs are the largest flow from a source (node 0) through each pixel to a sink (the last node), one unit
    # an edge. scipy's own matching gives the same number, but takes seconds for some images.
    own = len(near)
    indices = np.concatenate([1 + np.arange(own), 1 + own + near[found], np.full(total, 1 + own + total)])
    leaving = np.concatenate([[own], found.sum(axis=1), np.ones(total, int), [0]])
    starts = np.concatenate([[0], np.cumsum(leaving)])
    capacities = np.ones(len(indices), np.int32)
    graph = csr_array((capacities, indices.astype(np.int32), starts.astype(np.int32)), shape=(own + total + 2,) * 2)
    return int(maximum_flow(graph, 0, own + total + 1, method="dinic").flow_value)


__all__ = ["DEFINITIONS", "TOLERANCE", "boundary_f1", "image_score", "mean_score"]
