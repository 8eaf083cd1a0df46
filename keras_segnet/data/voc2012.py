"""Pascal VOC 2012's segmentation set: 1,464 training and 1,449 validation images, 20 classes and the background."""

from __future__ import annotations

import os
from pathlib import Path

from keras_segnet.data.dataset import Classes, FileDataset
from keras_segnet.data.files import OnFault, read_names, refuse
from keras_segnet.data.kinds import data_kind
from keras_segnet.data.splits import refuse_other_split
from keras_segnet.errors import InputError

SPLITS = ("train", "val", "trainval")


def voc_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """The first colours of VOC's palette: the bits of the index, three at a time, from the highest bit down."""
    colours = []
    for index in range(count):
        parts = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                parts[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
        colours.append((parts[0], parts[1], parts[2]))
    return tuple(colours)


NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
CLASSES = Classes(NAMES, voc_colours(len(NAMES)), ignored=255)
"""The 21 classes in VOC's order and colours; 255, the rim of objects, is ignored."""


@data_kind(
    holds="JPEGImages/ and SegmentationClass/",
    recognises=lambda path: find_root(path) is not None,
    splits=lambda path: ["train", "val"],
)
def voc2012(path: str | os.PathLike[str], split: str = "train", *, on_fault: OnFault = refuse) -> FileDataset:
    """One split of Pascal VOC 2012, from its own files.

    Args:
        path: the folder `VOC2012`, which holds `JPEGImages/`, `SegmentationClass/` (palette PNG, the index is the
            class) and `ImageSets/Segmentation/` (a list of names for each split); or one of those around it,
            `VOCdevkit` or what holds that.
        split: "train" (default), "val" or "trainval". Labels of test images were never published.
        on_fault: is told of listed files that are missing. Default: raises an `InputError`.

    Returns:
        A data set whose labels are 0..20 as in `CLASSES`, and 255 for ignored pixels.

    Raises:
        InputError: the split is not one of these, it is no folder of VOC 2012, or a listed file is missing.
    """
    refuse_other_split(split, SPLITS, "labels of VOC's test images are not published")
    root = find_root(Path(path))
    if root is None:
        raise InputError(f"{path} is not a folder of VOC 2012; it should hold JPEGImages/ and SegmentationClass/.")
    pairs = []
    listed = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    for number, name in read_names(listed):
        image, label = root / "JPEGImages" / f"{name}.jpg", root / "SegmentationClass" / f"{name}.png"
        for file, kind in ((image, "image"), (label, "label")):
            if not file.is_file():
                on_fault(f"{listed}, line {number}: the {kind} {file} does not exist.")
        if image.is_file() and label.is_file():
            pairs.append((image, label))
    return FileDataset(f"voc2012 {split}", CLASSES, tuple(pairs))


def find_root(path: Path) -> Path | None:
    """The folder of VOC 2012 at or below a path; None if it is not there."""
    for inside in (".", "VOC2012", "VOCdevkit/VOC2012"):
        if all((path / inside / part).is_dir() for part in ("JPEGImages", "SegmentationClass")):
            return path / inside
    return None
