"""How an image becomes network inputs, and how what a network gives for them becomes maps of the image's own size.

Training, evaluation and prediction follow one `Fit`, which is kept with the model. `Fit.layout` cuts an image of some
size into `Window`s, each of which becomes one network input; `Layout.blend` joins what the network gives for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import Any

import cv2
import numpy as np

from keras_segnet.data.images import resize_image, resize_label
from keras_segnet.errors import InputError, refuse_unknown, shown

FITS = ("auto", "stretch", "pad", "tile")
"""Rules by which an image becomes network inputs: see `Fit`."""

LARGEST_SHRINK = 2.0
"""Factor up to which `auto` shrinks an image. A CamVid frame of 720x960 in an input of 360x480 is shrunk by it."""

Size = tuple[int, int]
"""Height and width, in pixels."""


@dataclass(frozen=True)
class Window:
    """A part of an image and its place in a network input: the top left corner. The rest of the input is padding.

    Attributes:
        top, left: of the part in the image.
        size: of the part in the image.
        content: size of the part in the input.
        input: size of the input.
    """

    top: int
    left: int
    size: Size
    content: Size
    input: Size

    def part(self, array: np.ndarray) -> np.ndarray:
        """The window's part of an array `(height, width, ...)` of the image's size, as a view."""
        return array[self.top : self.top + self.size[0], self.left : self.left + self.size[1]]

    def image(self, image: np.ndarray) -> np.ndarray:
        """The network input of an image: resized, and padded with black."""
        return pad(resize_image(self.part(image), self.content), self.input, 0)

    def label(self, label: np.ndarray, fill: int) -> np.ndarray:
        """The label of that input, padded with `fill`."""
        return pad(resize_label(self.part(label), self.content), self.input, fill)

    def maps(self, maps: np.ndarray) -> np.ndarray:
        """Resizes the network's output, float `(height, width, ...)`, bilinearly to the size of the part."""
        return resize_maps(maps[: self.content[0], : self.content[1]], self.size)


@dataclass(frozen=True)
class Layout:
    """The windows of one image: all of one size, in a grid, the first at the top left and the last at the bottom right.

    Attributes:
        size: of the image.
        tops: first row of each row of windows.
        lefts: first column of each column of windows.
        window: size of each window.
        content: its size in the network input.
        input: size of the network input.
    """

    size: Size
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    window: Size
    content: Size
    input: Size

    @cached_property
    def windows(self) -> list[Window]:
        """The windows, row by row."""
        return [
            Window(top, left, self.window, self.content, self.input) for top, left in product(self.tops, self.lefts)
        ]

    def blend(self, maps: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Joins the maps of the windows into maps of the image, and holds one row of windows at a time.

        Where windows overlap, their weights sum to 1 and go from one to the other over the middle half of the overlap.
        Within a quarter of the overlap from its edge a window counts for nothing. So a network whose receptive field
        reaches no further than that gives what it would give for the whole image, within 1e-5 of a probability.

        Args:
            maps: float `(height, width, channels)` of each window, of the window's size, in the order of `windows`.

        Yields:
            Bands of the image from top to bottom, float32 `(rows, width, channels)`; of one window, its map as it is.
        """
        maps = iter(maps)
        if len(self.tops) == len(self.lefts) == 1:
            yield next(maps)
            return
        height, width = self.window
        across = _weights(self.lefts, width)
        pending = np.zeros((0, 0, 0), np.float32)
        for weights, top, end in zip(
            _weights(self.tops, height), self.tops, (*self.tops[1:], self.size[0]), strict=True
        ):
            for left, beside in zip(self.lefts, across, strict=True):
                one = next(maps)
                if not pending.size:
                    pending = np.zeros((height, self.size[1], one.shape[-1]), np.float32)
                pending[:, left : left + width] += one * (weights[:, None] * beside)[..., None]
            done = end - top
            yield pending[:done].copy()
            pending[: height - done] = pending[done:]
            pending[height - done :] = 0


@dataclass(frozen=True)
class Fit:
    """The rule by which an image becomes network inputs.

    It belongs to a model: one that saw whole images shrunk is to be given such, and one that saw parts at some scale,
    parts at that scale.

    Attributes:
        rule: `"stretch"` resizes the whole image to the input, whatever its aspect ratio. `"pad"` resizes it as a whole
            and keeps its aspect ratio; the rest of the input, below or to the right, is ignored pixels. `"tile"` leaves
            the image at its own scale and takes overlapping parts. `"auto"` tiles an image that is more than
            `LARGEST_SHRINK` times as high or wide as the input, and stretches others. Default `"stretch"`, the rule of
            models that do not say.
        image_scale: factor by which images are resized before parts of the input's size are taken. Default 1.
        tile: height and width of a part in pixels of the image, each resized to the input. Default: the input's size
            over `image_scale`. For `"tile"`.
        overlap: pixels of the image that neighbouring parts share at least. Default: a quarter of a part's height and
            width. For `"tile"` and `"auto"`.

    Raises:
        InputError: a value is not one of these.
    """

    rule: str = "stretch"
    image_scale: float = 1.0
    tile: Size | None = None
    overlap: int | None = None

    def __post_init__(self) -> None:
        refuse_unknown("fit", self.rule, FITS)
        if not 0 < self.image_scale < np.inf:
            raise InputError(f"`image_scale` must be above 0, not {self.image_scale!r}.")
        if self.tile is not None and not (len(self.tile) == 2 and all(_is_whole(each, 1) for each in self.tile)):
            raise InputError(f"`tile` must be a height and a width, both at least 1; not {self.tile!r}.")
        if self.overlap is not None and not _is_whole(self.overlap, 0):
            raise InputError(f"`overlap` must be a number of pixels, at least 0; not {self.overlap!r}.")
        if self.tile is not None and self.rule != "tile":
            raise InputError(f"`tile` is for `fit` tile, not {self.rule}.")
        if self.overlap is not None and self.rule not in ("auto", "tile"):
            raise InputError(f"`overlap` is for `fit` auto or tile, not {self.rule}.")

    @classmethod
    def recorded(cls, record: Mapping[str, Any]) -> Fit:
        """The rule that a run's config.json or an exported file names.

        `"stretch"` where it names none, because it is older than the other rules.

        Raises:
            ValueError: it says one that there is not.
        """
        rule, scale = record.get("fit", "stretch"), record.get("image_scale", 1.0)
        if rule not in FITS or isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < np.inf:
            raise ValueError(f"it says that images become inputs by fit {shown(rule)} and image_scale {shown(scale)}")
        return cls(rule, float(scale))

    def record(self) -> dict[str, Any]:
        """The rule in the form that `recorded` reads."""
        return {"fit": self.rule, "image_scale": self.image_scale}

    def rule_for(self, size: Size, input: Size) -> str:
        """`"stretch"`, `"pad"` or `"tile"`: what the rule means for an image of some size."""
        if self.rule == "auto":
            return "tile" if shrink(size, input) > LARGEST_SHRINK else "stretch"
        return self.rule

    def scaled(self, size: Size, input: Size) -> Size:
        """The size of a whole image at the scale at which the network sees it."""
        rule = self.rule_for(size, input)
        if rule == "stretch":
            return input
        part = self._part(input) if rule == "tile" else None
        factors = [min(input[axis] / size[axis] for axis in (0, 1))] * 2 if part is None else np.divide(input, part)
        return _rounded(size[0] * factors[0]), _rounded(size[1] * factors[1])

    def layout(self, size: Size, input: Size | None) -> Layout:
        """The windows of an image.

        Args:
            size: of the image.
            input: size of the network input. None for a network that accepts any: then each part goes in as it is, and
                without `tile` the image is one.
        """
        if input is None:
            if self.tile is None:
                return Layout(size, (0,), (0,), size, size, size)
            window = _least(size, self.tile)
            return Layout(size, *self._grid(size, window, self.tile), window, window, window)
        if self.rule_for(size, input) != "tile":
            return Layout(size, (0,), (0,), size, self.scaled(size, input), input)
        part = self._part(input)
        window = _least(size, part)
        content = tuple(_rounded(input[axis] * window[axis] / part[axis]) for axis in (0, 1))
        return Layout(size, *self._grid(size, window, part), window, content, input)  # type: ignore[arg-type]

    def _part(self, input: Size) -> Size:
        """Height and width of what becomes one input, in pixels of the image."""
        if self.tile is not None:
            return self.tile
        return _rounded(input[0] / self.image_scale), _rounded(input[1] / self.image_scale)

    def _grid(self, size: Size, window: Size, part: Size) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if self.overlap is not None and self.overlap >= min(part):
            raise InputError(f"`overlap` must be below the size of a tile, {min(part)}; not {self.overlap}.")
        tops, lefts = (
            _starts(size[axis], window[axis], part[axis] // 4 if self.overlap is None else self.overlap)
            for axis in (0, 1)
        )
        return tops, lefts


STRETCH = Fit()
AUTO = Fit("auto")


def shrink(size: Size, input: Size) -> float:
    """Factor by which an image is shrunk to the network input, on the axis where it is larger."""
    return max(size[0] / input[0], size[1] / input[1])


def pad(array: np.ndarray, size: Size, fill: int) -> np.ndarray:
    """An image or label with pixels below and to the right, until it has a size."""
    below, after = size[0] - array.shape[0], size[1] - array.shape[1]
    if not below and not after:
        return array
    return cv2.copyMakeBorder(array, 0, below, 0, after, cv2.BORDER_CONSTANT, value=(fill,) * 3)


def resize_maps(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resizes what a network gave for one image, float `(height, width, ...)`, bilinearly to `(height, width)`."""
    if maps.shape[:2] == size:
        return maps
    return cv2.resize(maps, size[::-1], interpolation=cv2.INTER_LINEAR)


def _rounded(length: float) -> int:
    """Rounds halves up, as JavaScript does, to at least 1."""
    return max(1, int(length + 0.5))


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _least(one: Size, other: Size) -> Size:
    return min(one[0], other[0]), min(one[1], other[1])


def _starts(length: int, window: int, overlap: int) -> tuple[int, ...]:
    """Where windows begin on an axis: as few as overlap by so much, evenly spread from end to end."""
    if window >= length:
        return (0,)
    steps = -(-(length - window) // (window - overlap))
    return tuple(number * (length - window) // steps for number in range(steps + 1))


def _weights(starts: tuple[int, ...], window: int) -> list[np.ndarray]:
    """Weight of each pixel of each window on an axis: float32 `(window,)`; at each place of the axis they sum to 1."""
    places = np.arange(window) + 0.5
    weights = np.ones((len(starts), window))
    for number, (before, after) in enumerate(pairwise(starts)):
        overlap = before + window - after
        if overlap:
            ramp = np.clip((places - overlap / 4) / (overlap / 2), 0, 1)
            weights[number] = np.minimum(weights[number], ramp[::-1])
            weights[number + 1] = np.minimum(weights[number + 1], ramp)
    total = np.zeros(starts[-1] + window)
    for start, weight in zip(starts, weights, strict=True):
        total[start : start + window] += weight
    return [
        (weight / total[start : start + window]).astype(np.float32)
        for start, weight in zip(starts, weights, strict=True)
    ]


__all__ = ["AUTO", "FITS", "LARGEST_SHRINK", "STRETCH", "Fit", "Layout", "Window", "pad", "resize_maps", "shrink"]
