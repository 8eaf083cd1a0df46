"""Polygons and run lengths as masks. Coordinates are x to the right and y down; pixel (0, 0) reaches from 0 to 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

CIRCLE = 256
"""Number of corners of the polygon that stands for a circle or an ellipse."""


def fill(rings: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centre lies inside: an odd number of times within the rings, so a ring in a ring is a hole.

    A centre on an edge belongs to the side to the right of it or below, so neighbours that share an edge share no
    pixel. What lies beyond the border is cut off.

    Args:
        rings: the corners of each closed line, float `(corners, 2)`, x and y.
        size: height and width.

    Returns:
        bool `(height, width)`.
    """
    mask = np.zeros(size, bool)
    lines = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in rings]
    if not sum(map(len, lines)):
        return mask
    corners = np.concatenate(lines)
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, size[::-1]).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, size[::-1]).astype(int)
    mask[top:bottom, left:right] = _inside([line - (left, top) for line in lines], bottom - top, right - left)
    return mask


def _inside(rings: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    crossings = np.zeros((height, width + 1), np.int32)
    for ring in rings:
        x, y = ring.T
        for x0, y0, x1, y1 in zip(x, y, np.roll(x, -1), np.roll(y, -1), strict=True):
            # The rows of which the edge crosses the line through the centres.
            first, last = (math.ceil(min(max(end, 0), height) - 0.5) for end in sorted((y0, y1)))
            rows = np.arange(max(first, 0), min(last, height))
            if rows.size:
                at = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                # Every centre to the right of the crossing changes sides.
                np.add.at(crossings, (rows, np.clip(np.ceil(at - 0.5), 0, width).astype(int)), 1)
    return (np.cumsum(crossings[:, :width], axis=1) & 1).astype(bool)


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The corners of a rectangle, float `(4, 2)`."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    """The corners of a polygon like an ellipse."""
    angles = np.arange(CIRCLE) * (2 * np.pi / CIRCLE)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=-1)


def turned(corners: np.ndarray, degrees: float, centre: tuple[float, float]) -> np.ndarray:
    """Corners turned clockwise about a point, as they are seen with y down."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    away = corners - np.array(centre)
    return away @ np.array([[cosine, sine], [-sine, cosine]]) + np.array(centre)


def from_runs(runs: Sequence[int], size: tuple[int, int], by_column: bool = False) -> np.ndarray:
    """A mask from the lengths of its runs, of which the first is outside.

    Args:
        runs: lengths, together as many as there are pixels.
        size: height and width.
        by_column: whether they go down column by column, as COCO's do, instead of along the rows.

    Returns:
        bool `(height, width)`.

    Raises:
        ValueError: the runs are of another number of pixels.
    """
    lengths = np.asarray(runs, np.int64)
    if lengths.min(initial=0) < 0 or lengths.sum() != size[0] * size[1]:
        raise ValueError(f"runs of {lengths.sum()} pixels, where {size[0]}x{size[1]} are expected")
    pixels = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return pixels.reshape(size[::-1]).T if by_column else pixels.reshape(size)
