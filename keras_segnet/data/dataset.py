"""What a labelled data set is here: a sequence of image and label pairs, and the classes that the labels mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_segnet.data.images import read_image, read_label, refuse_damaged
from keras_segnet.errors import InputError


@dataclass(frozen=True)
class Classes:
    """What label values mean.

    Attributes:
        names: one a class; a label value is the position in here.
        colours: RGB 0..255 of each class for pictures, as many as there are names.
        ignored: label value of pixels that take no part in loss, metrics and weights; None if there is none.
    """

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]
    ignored: int | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ignored_or_unused(self) -> int:
        """The ignored value, or one that no label holds, for pixels that augmentation adds."""
        return 255 if self.ignored is None else self.ignored


class Example(NamedTuple):
    """An image, uint8 RGB `(height, width, 3)`, and its label, uint8 `(height, width)`."""

    image: np.ndarray
    label: np.ndarray


class SegmentationDataset:
    """A labelled data set: `dataset[i]` is an `Example`. The functions of `keras_segnet.data` make them.

    Attributes:
        name: for reports.
        classes: what label values mean.
    """

    name: str
    classes: Classes

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Example:
        raise NotImplementedError

    def item_name(self, index: int) -> str:
        """Name of an example for file names and messages."""
        raise NotImplementedError

    def check(self, index: int) -> Example:
        """Reads an example and raises an `InputError` that names the file if anything about it is wrong."""
        return self[index]


@dataclass(eq=False)
class FileDataset(SegmentationDataset):
    """A data set of image and label files."""

    name: str
    classes: Classes
    pairs: tuple[tuple[Path, Path], ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Example:
        image_path, label_path = self.pairs[index]
        return Example(read_image(image_path), read_label(label_path))

    def item_name(self, index: int) -> str:
        return self.pairs[index][0].stem

    def check(self, index: int) -> Example:
        image_path, label_path = self.pairs[index]
        refuse_damaged(image_path)
        refuse_damaged(label_path)
        example = self[index]
        if example.image.shape[:2] != example.label.shape:
            raise InputError(
                f"{label_path} is {_size(example.label)} and its image {image_path} is {_size(example.image)}; "
                "an image and its label must have one size."
            )
        allowed = np.zeros(256, bool)
        allowed[: len(self.classes)] = True
        if self.classes.ignored is not None:
            allowed[self.classes.ignored] = True
        values = np.unique(example.label)
        beyond = values[~allowed[values]]
        if beyond.size:
            ignored = "" if self.classes.ignored is None else f", or {self.classes.ignored} for ignored pixels"
            raise InputError(
                f"{label_path} holds the label value {beyond[0]}; allowed are 0 to {len(self.classes) - 1}{ignored}."
            )
        return example


def _size(array: np.ndarray) -> str:
    return f"{array.shape[0]}x{array.shape[1]}"
