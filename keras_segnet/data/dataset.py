"""What a labelled data set is here: a sequence of image and label pairs, and the classes that the labels mean."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_segnet.data.images import read_image, refuse_damaged
from keras_segnet.data.labels import LabelCoding
from keras_segnet.errors import InputError, shown
from keras_segnet.files import is_printable, same_file_key, unique_file_names

MOST_CLASSES = 255
"""Largest number of classes: labels are uint8, and one value is kept for ignored pixels."""


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

    def __post_init__(self) -> None:
        for name in self.names:
            if not is_printable(name):
                raise InputError(f"the class name {shown(name)} holds a character that cannot be shown.")
        if len(self) > MOST_CLASSES:
            raise InputError(f"num_classes must be at most {MOST_CLASSES}; there are {len(self)}. Labels are 8-bit.")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ignored_or_unused(self) -> int:
        """The ignored value, or one that no label holds, for pixels that augmentation adds."""
        return 255 if self.ignored is None else self.ignored

    @property
    def ignored_colour(self) -> tuple[int, int, int]:
        """RGB of ignored pixels in pictures: black, or the light grey of VOC's rims where a class is nearly black."""
        return (224, 224, 192) if any(max(colour) < 32 for colour in self.colours) else (0, 0, 0)

    @property
    def coding(self) -> LabelCoding:
        """Of label files that hold these values as they are."""
        values = {value: value for value in range(len(self))}
        if self.ignored is not None:
            values[self.ignored] = self.ignored
        return LabelCoding(values, ignored=self.ignored)


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
        """Name of an example for messages and, by way of `keras_segnet.files.unique_file_names`, for files."""
        raise NotImplementedError

    def check(self, index: int) -> Example:
        """Reads an example and raises an `InputError` that names the file if anything about it is wrong."""
        return self[index]

    def examine(self, index: int) -> tuple[Example | None, list[str]]:
        """Reads an example, and says all that is wrong with it; if anything is, there is no example."""
        try:
            return self.check(index), []
        except InputError as error:
            return None, [str(error)]


@dataclass(eq=False)
class FileDataset(SegmentationDataset):
    """A data set of image and label files.

    Attributes:
        name: for reports.
        classes: what label values mean.
        pairs: paths of an image and its label, one pair an example.
        coding: how label files tell classes. Default: their values are the classes.
    """

    name: str
    classes: Classes
    pairs: tuple[tuple[Path, Path], ...] = field(repr=False)
    coding: LabelCoding = field(default=None, repr=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.coding is None:
            self.coding = self.classes.coding

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Example:
        image_path, label_path = self.pairs[index]
        return Example(read_image(image_path), self.coding.read(label_path))

    def item_name(self, index: int) -> str:
        return self._item_names[index]

    @cached_property
    def _item_names(self) -> list[str]:
        """The stems of the image files; where two are alike, the folders' names before them; then numbered."""
        images = list(dict.fromkeys(image for image, _ in self.pairs))  # A list may name one more than once.
        names = [image.stem for image in images]
        if len(set(map(same_file_key, names))) < len(names):
            common = os.path.commonpath([image.parent for image in images])
            names = ["_".join(image.relative_to(common).with_suffix("").parts) for image in images]
        name_of = dict(zip(images, unique_file_names(names), strict=True))
        return [name_of[image] for image, _ in self.pairs]

    def check(self, index: int) -> Example:
        example, faults = self.examine(index)
        if example is None:
            raise InputError(faults[0])
        return example

    def examine(self, index: int) -> tuple[Example | None, list[str]]:
        image_path, label_path = self.pairs[index]
        arrays, faults = [], []
        for path, read in ((image_path, read_image), (label_path, self.coding.read)):
            try:
                refuse_damaged(path)
                arrays.append(read(path))
            except InputError as error:
                faults.append(str(error))
        if faults:
            return None, faults
        example = Example(*arrays)
        if example.image.shape[:2] != example.label.shape:
            fault = (
                f"{label_path} is {_size(example.label)} and its image {image_path} is {_size(example.image)}; "
                "an image and its label must have one size."
            )
            return None, [fault]
        return example, []


def _size(array: np.ndarray) -> str:
    return f"{array.shape[0]}x{array.shape[1]}"
