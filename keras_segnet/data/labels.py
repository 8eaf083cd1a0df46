"""How label files tell which class a pixel is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from keras_segnet.data.images import read_label, read_palette
from keras_segnet.errors import InputError

Colour = tuple[int, int, int]

NO_CLASS = -1
"""Value that stands for no class in tables."""


@dataclass(frozen=True)
class LabelCoding:
    """What the label files of a data set hold, and which class that means.

    Grey files are read by value, palette files by index, RGB files by colour.

    Attributes:
        values: class of each grey value and palette index.
        otherwise: the same for files that hold a value which `values` lack; empty, the default, if there is no other
            way to read them. Each file is read in one way or the other.
        colours: class of each RGB colour; empty, the default, where labels are not RGB.
        ignored: the class, of those above, that stands for ignored pixels; None if there is none.
        blemished: names of files in which colours beyond `colours` are ignored pixels instead of faults: for what is
            known to be wrong with published files.
    """

    values: Mapping[int, int]
    colours: Mapping[Colour, int] = field(default_factory=dict)
    ignored: int | None = None
    blemished: frozenset[str] = frozenset()
    otherwise: Mapping[int, int] = field(default_factory=dict)

    def read(self, path: Path) -> np.ndarray:
        """Reads a label file as classes, uint8 `(height, width)`.

        Raises:
            InputError: the file cannot be read, see `keras_segnet.data.images.read_label`, or holds a value or a
                colour that no class has.
        """
        stored = read_label(path)
        label = self._of_values(path, stored) if stored.ndim == 2 else self._of_colours(path, stored)
        return label.astype(np.uint8)

    def _of_values(self, path: Path, stored: np.ndarray) -> np.ndarray:
        if self.colours:
            self._refuse_contradicting_palette(path, stored)
        label = self._value_table[stored]
        if label.min(initial=0) != NO_CLASS:
            return label
        if self.otherwise and (other := _table(self.otherwise)[stored]).min(initial=0) != NO_CLASS:
            return other
        raise InputError(
            f"{path} holds the label value {stored[label == NO_CLASS].min()}; allowed are {self._allowed_values()}."
        )

    def _of_colours(self, path: Path, stored: np.ndarray) -> np.ndarray:
        if not self.colours:
            raise InputError(
                f"{path} has 3 channels of uint8; a label is an 8-bit grey or palette image whose value is the class. "
                "For labels that are RGB, classes.csv says which colour is which class: name,r,g,b."
            )
        label = self._colour_table[packed(stored)]
        if label.min(initial=0) != NO_CLASS:
            return label
        if path.name in self.blemished:
            label[label == NO_CLASS] = self.ignored
            return label
        unknown = np.argwhere(label == NO_CLASS)
        row, column = unknown[0]
        colour = stored[row, column]
        nearest = min(self.colours, key=lambda known: int(np.square(colour - np.array(known)).sum()))
        raise InputError(
            f"{path} has the colour {tuple(colour.tolist())} at row {row}, column {column}, which no class has; the "
            f"nearest that a class has is {nearest}. {len(unknown)} of {label.size} pixels have such colours."
        )

    def _refuse_contradicting_palette(self, path: Path, indices: np.ndarray) -> None:
        """A palette that an image editor made is in any order. Then the index is not the class, and nobody sees it."""
        palette = read_palette(path)
        if palette is None:
            return
        used = np.flatnonzero(np.bincount(indices.ravel(), minlength=256))
        for index in used[used < len(palette)].tolist():
            colour = tuple(palette[index].tolist())
            if self.colours.get(colour, self._value_table[index]) != self._value_table[index]:
                raise InputError(
                    f"{path} is a palette image in which the index {index} has the colour {colour}, which is that of "
                    "another class; save labels as RGB to have the colour count, or without a palette the value."
                )

    def _allowed_values(self) -> str:
        classes = ranges(value for value, label in self.values.items() if label != self.ignored)
        if self.otherwise:
            others = ranges(value for value, label in self.otherwise.items() if label != self.ignored)
            classes = f"{classes} (or, in all of a file, {others})"
        ignored = ranges(value for value, label in self.values.items() if label == self.ignored)
        return f"{classes}, or {ignored} for ignored pixels" if ignored else classes

    @cached_property
    def _value_table(self) -> np.ndarray:
        return _table(self.values)

    @cached_property
    def _colour_table(self) -> np.ndarray:
        return colour_table(tuple(self.colours.items()))


def _table(values: Mapping[int, int]) -> np.ndarray:
    table = np.full(256, NO_CLASS, np.int16)
    table[list(values)] = list(values.values())
    return table


@lru_cache(maxsize=4)
def colour_table(colours: tuple[tuple[Colour, int], ...]) -> np.ndarray:
    """The class of every colour there is, by its `packed` number; the splits of a data set share one (32 MiB)."""
    table = np.full(1 << 24, NO_CLASS, np.int16)
    table[packed(np.array([[colour for colour, _ in colours]], np.uint8))[0]] = [label for _, label in colours]
    return table


def packed(colours: np.ndarray) -> np.ndarray:
    """Each RGB colour as one number: uint8 `(height, width, 3)` to uint32 `(height, width)`."""
    four_bytes = cv2.cvtColor(colours, cv2.COLOR_RGB2BGRA)
    four_bytes[..., 3] = 0
    return four_bytes.view("<u4")[..., 0]


def ranges(values: Iterable[int]) -> str:
    """Whole numbers for people to read: `0 to 3, 7`."""
    ordered = sorted(values)
    starts = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(ordered)) if b != a + 1), len(ordered)]
    runs = [(ordered[a], ordered[b - 1]) for a, b in pairwise(starts)] if ordered else []
    return ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in runs)
