"""What a scene is painted on: image and label together, through the camera, in the light of the day."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from keras_segnet.streets.camera import NEAR, Camera, Floats, board

Pixels = npt.NDArray[np.uint8]
Colour = tuple[float, float, float] | Floats  # red, green and blue, 0..255

_SHIFT = 4  # fractional bits of the pixel coordinates handed to OpenCV


class Class(IntEnum):
    """What a pixel shows: CamVid's classes in SegNet's order."""

    SKY = 0
    BUILDING = 1
    POLE = 2
    ROAD = 3
    PAVEMENT = 4
    TREE = 5
    SIGN = 6
    FENCE = 7
    CAR = 8
    PEDESTRIAN = 9
    BICYCLIST = 10
    VOID = 11


@dataclass(frozen=True)
class Weather:
    """The sky and the light of a time of day."""

    odds: float  # of this weather among all
    zenith: Colour
    horizon: Colour
    cloud: Colour
    cloud_cover: float
    sun: float  # contrast between lit and shaded surfaces, 0..1
    exposure: Colour  # gain of each channel: brightness and colour cast in one
    haze: float  # per metre
    noise: float  # standard deviation in grey levels
    windows_lit: float  # share of windows with the light on


WEATHERS = (
    # Sunny, fair, overcast, dark clouds, dusk.
    Weather(0.30, (84, 138, 208), (190, 214, 236), (246, 248, 250), 0.35, 0.9, (1.06, 1.03, 0.97), 0.004, 3.0, 0.0),
    Weather(0.25, (124, 166, 212), (214, 226, 236), (242, 243, 245), 0.6, 0.5, (1.0, 1.0, 1.0), 0.005, 4.0, 0.0),
    Weather(0.22, (176, 184, 194), (222, 224, 226), (204, 208, 213), 0.9, 0.1, (0.86, 0.89, 0.93), 0.008, 4.0, 0.04),
    Weather(0.11, (128, 138, 152), (206, 208, 208), (160, 166, 176), 0.85, 0.05, (0.7, 0.73, 0.78), 0.006, 4.5, 0.2),
    Weather(0.12, (92, 98, 150), (250, 190, 140), (206, 142, 146), 0.5, 0.3, (0.8, 0.68, 0.64), 0.006, 5.0, 0.35),
)

# What several kinds of things are made of.
GLASS: Colour = (58, 70, 82)
BLACK: Colour = (26, 26, 28)
PAINTS: tuple[Colour, ...] = (
    (178, 182, 186), (44, 46, 52), (150, 26, 30), (34, 62, 122), (222, 222, 218), (96, 102, 108),
    (28, 92, 74), (128, 136, 150), (196, 160, 52), (82, 28, 44),
)  # fmt: skip


def tint(colour: Colour, gain: float) -> Floats:
    """The colour, brighter or darker."""
    return np.minimum(np.asarray(colour) * gain, 255)


@dataclass
class Canvas:
    """An image, (height, width, 3), and its label, (height, width), painted together."""

    camera: Camera
    weather: Weather
    sun_side: int  # -1 or 1: where the sun stands
    rng: np.random.Generator  # decides all that is left to chance, in the order of painting

    def __post_init__(self) -> None:
        size = self.camera.height, self.camera.width
        self.image: Pixels = np.zeros((*size, 3), np.uint8)
        self.label: Pixels = np.full(size, Class.SKY, np.uint8)
        self._standing: list[tuple[float, Callable[[], None]]] = []

    def pick(self, choices: Sequence[Colour]) -> Floats:
        """One of the colours, slightly varied, so that no two things share one exactly."""
        colour = np.asarray(choices[int(self.rng.integers(len(choices)))])
        return colour * self.rng.uniform(0.88, 1.12)

    def facing_light(self, side: float) -> float:
        """Light on a wall at this side of the street, which looks towards the other side."""
        return 1.0 + 0.22 * self.weather.sun * (1 if side != self.sun_side else -1.6)

    def fill(self, outlines: Floats, colour: Colour | None, cls: Class) -> None:
        """Fill outlines, (number, corners, 2) in pixels; without a colour only the label is filled."""
        corners = list(_fixed_point(outlines))
        if colour is not None:
            cv2.fillPoly(self.image, corners, list(colour), cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.label, corners, cls, cv2.LINE_8, _SHIFT)

    def paint(self, world: npt.ArrayLike, colour: Colour | None, cls: Class, light: float = 1.0) -> None:
        """Fill one outline, (corners, 3), or any number that do not overlap, (number, corners, 3)."""
        outlines = np.asarray(world)
        if outlines.size == 0:
            return
        if outlines.ndim == 2:
            outlines = outlines[None]
        if colour is not None:
            clear = math.exp(-self.weather.haze * max(outlines[0, 0, 2], NEAR))
            colour = np.asarray(colour) * (light * clear) + np.asarray(self.weather.horizon) * (1 - clear)
        self.fill(self.camera.project(outlines), colour, cls)

    def paint_boards(self, x: float, z: float, cls: Class, parts: Sequence[tuple[npt.ArrayLike, Colour]]) -> None:
        """Paint flat shapes, (..., corners, 2) in metres, that stand at (x, z), one over the other."""
        for shape, colour in parts:
            self.paint(board(x, z, shape), colour, cls)

    def stand(self, depth: float, draw: Callable[..., None], *args: object) -> None:
        """Queue something that rises from the ground, to be drawn when everything behind it is."""
        self._standing.append((depth, partial(draw, self, *args)))

    def paint_standing(self) -> None:
        """Draw what was queued, far to near."""
        for _, draw in sorted(self._standing, key=lambda entry: -entry[0]):
            draw()

    def cast_shadow(self, world: Floats) -> None:
        """Darken the image within an outline, (corners, 3): light changes, what is there does not."""
        outline = self.camera.project(world)
        left, top = np.clip(np.floor(outline.min(0)).astype(int), 0, self.label.shape[::-1])
        right, bottom = np.clip(np.ceil(outline.max(0)).astype(int) + 1, 0, self.label.shape[::-1])
        if left >= right or top >= bottom:
            return
        mask = np.zeros((bottom - top, right - left), np.uint8)
        origin = np.array([left, top], np.int32) << _SHIFT
        cv2.fillPoly(mask, [_fixed_point(outline) - origin], 255, cv2.LINE_AA, _SHIFT)
        strength = np.float32((0.28 + 0.27 * self.weather.sun) / 255)
        self.image[top:bottom, left:right] = self.image[top:bottom, left:right] * (1 - mask[..., None] * strength)


def _fixed_point(outlines: Floats) -> npt.NDArray[np.int32]:
    return (outlines * (1 << _SHIFT)).astype(np.int32)


def fractal_noise(rng: np.random.Generator, sizes: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
    """Smooth noise, about -1..1, of the last size: octaves of random grids, each finer and fainter."""
    height, width = sizes[-1]
    total = np.zeros((height, width), np.float32)
    for octave, size in enumerate(sizes):
        grid = rng.uniform(-1, 1, size).astype(np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    return total
