"""Perspective: the camera, and shapes in metres for it to look at.

World points are (x, y, z): metres to the right of the camera, above the road, and ahead along the road. In an
array of points the last axis holds the coordinates and the one before it the corners of an outline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NEAR = 1.0  # metres; nothing is drawn closer to the camera
FAR = 120.0  # metres; the backdrop closes the street here
DETAILED = 32.0  # metres; farther things are drawn without what would be a pixel or two

_FOCAL = 1.1  # in image widths, about 49 degrees of view
_ASPECT = 4 / 3  # of the frame the camera sees; other sizes stretch it, as resizing a photograph does
_TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_CIRCLE: Floats = np.stack([np.cos(_TURN), np.sin(_TURN)], -1)


@dataclass
class Camera:
    """A pinhole camera that looks along a road which may bend."""

    height: int  # of the frame, in pixels
    width: int
    horizon: float  # in image heights from the top
    vanishing_x: float  # in image widths from the left
    eye: float  # metres above the road
    bend: float  # sideways metres per squared metre ahead

    def __post_init__(self) -> None:
        self._eye = np.array([0.0, self.eye])
        self._bend = np.array([self.bend, 0.0])
        self._scale = np.array([_FOCAL * self.width, -_FOCAL * _ASPECT * self.height])
        self._vanishing_point = np.array([self.vanishing_x * self.width - 0.5, self.horizon * self.height - 0.5])

    def project(self, world: Floats) -> Floats:
        """Pixel coordinates, (..., 2), of world points, (..., 3)."""
        z = np.maximum(world[..., 2:], NEAR)
        pixels: Floats = ((world[..., :2] - self._eye) / z + self._bend * z) * self._scale + self._vanishing_point
        return pixels

    def ground(self) -> tuple[int, Floats, Floats]:
        """The first row below the horizon, and for the rows from there x, (rows, width), and z, (rows, 1)."""
        top = int(self.horizon * self.height) + 1
        below = ((np.arange(top, self.height) + 0.5) / self.height - self.horizon)[:, None]
        z = np.minimum(_FOCAL * _ASPECT * self.eye / np.maximum(below, 1e-3), FAR)
        x = ((np.arange(self.width) + 0.5) / self.width - self.vanishing_x) * z / _FOCAL - self.bend * z * z
        return top, x, z


def flat(x0: float, x1: float, z0: float, z1: float) -> Floats:
    """A quad on the ground."""
    return np.array([(x0, 0, z0), (x0, 0, z1), (x1, 0, z1), (x1, 0, z0)])


def strip(x0: float, x1: float) -> Floats:
    """A ribbon on the ground along the whole street, with enough corners to follow its bend."""
    z = np.geomspace(NEAR, FAR, 24)
    return np.stack([np.repeat([x0, x1], 24), np.zeros(48), np.concatenate([z, z[::-1]])], -1)


def wall(x: float, z0: float, z1: float, y0: float, y1: float) -> Floats:
    """A quad along the street."""
    return np.array([(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)])


def panels(x: float, z: Floats, y: Floats | float, length: float, height: float) -> Floats:
    """Equal quads along the street, (number, 4, 3), with their near lower corners at (x, y, z)."""
    corners = np.stack(np.broadcast_arrays(x, y, z), -1)
    return corners[:, None] + [(0, 0, 0), (0, height, 0), (0, height, length), (0, 0, length)]


def board(x: float, z: float, shape: npt.ArrayLike) -> Floats:
    """Flat shapes, (..., corners, 2) in metres, stood up at (x, z) facing the camera."""
    outline = np.asarray(shape)
    world = np.full((*outline.shape[:-1], 3), z, np.float64)
    world[..., :2] = outline
    world[..., 0] += x
    return world


def rectangle(x0: float, x1: float, y0: float, y1: float) -> Floats:
    """A shape for a board."""
    return np.array([(x0, y0), (x0, y1), (x1, y1), (x1, y0)])


def ellipse(x: float, y: float, rx: float, ry: float) -> Floats:
    """A shape for a board."""
    return _CIRCLE * (rx, ry) + (x, y)


def limb(x0: float, y0: float, x1: float, y1: float, width: float) -> Floats:
    """A shape for a board: a bar between two points, `width` wide across its length."""
    length = np.hypot(x1 - x0, y1 - y0)
    dx, dy = (y1 - y0) / length * width / 2, (x0 - x1) / length * width / 2
    return np.array([(x0 - dx, y0 - dy), (x1 - dx, y1 - dy), (x1 + dx, y1 + dy), (x0 + dx, y0 + dy)])
