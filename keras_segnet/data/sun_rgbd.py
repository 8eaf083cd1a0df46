"""SUN RGB-D: 10,335 indoor scenes, 37 classes, in the official split of 5,285 to train and 5,050 to test.

The set's own labels are in MATLAB files of several GB. What SegNet and its followers train on is the same as images,
which A. Handa published (github.com/ankurhanda/sunrgbd-meta-data):

    SUNRGBD-train_images/img-000001.jpg ... img-005285.jpg
    SUNRGBD-test_images/img-000001.jpg ... img-005050.jpg
    sunrgbd_train_test_labels/img-000001.png ... img-010335.png     37 classes; the first 5,050 are of the test images
    train13labels/img13labels-000001.png ...                        13 classes
    test13labels/img13labels-000001.png ...
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from keras_segnet.colours import distinct_colours
from keras_segnet.data.dataset import Classes, FileDataset
from keras_segnet.data.files import OnFault, find_images, refuse
from keras_segnet.data.kinds import data_kind, has
from keras_segnet.data.labels import LabelCoding
from keras_segnet.data.splits import refuse_other_split
from keras_segnet.errors import InputError

SPLITS = ("train", "val", "test", "trainval")

TEST_IMAGES = 5050
"""Labels of 37 classes are numbered through: those of training images begin after these."""

NAMES_37 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor_mat", "clothes", "ceiling", "books",
    "fridge", "tv", "paper", "towel", "shower_curtain", "box", "whiteboard", "person", "night_stand", "toilet", "sink",
    "lamp", "bathtub", "bag",
)  # fmt: skip
"""`seg37list.mat` of the SUNRGBDtoolbox."""

NAMES_13 = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa", "table", "tv", "wall",
    "window",
)  # fmt: skip

CLASSES = {len(names): Classes(names, distinct_colours(len(names)), ignored=255) for names in (NAMES_37, NAMES_13)}

IMAGES = {"train": "SUNRGBD-train_images", "test": "SUNRGBD-test_images"}
LABELS = {
    37: {"train": "sunrgbd_train_test_labels", "test": "sunrgbd_train_test_labels"},
    13: {"train": "train13labels", "test": "test13labels"},
}


@data_kind(
    holds="SUNRGBD-train_images/ and sunrgbd_train_test_labels/", recognises=has(*IMAGES.values(), "SUNRGBDtoolbox")
)
def sun_rgbd(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    num_classes: int = 37,
    validation: float = 0.1,
    seed: int = 0,
    on_fault: OnFault = refuse,
) -> FileDataset:
    """One split of SUN RGB-D.

    Args:
        path: the folder that holds the folders named in `keras_segnet.data.sun_rgbd`.
        split: "train" (default), "val", "test" (5,050 images) or "trainval" (all 5,285 training images). The official
            split has no validation images; these are taken out of the training images.
        num_classes: 37 (default) or 13.
        validation: share of the training images that are validated on. Default 0.1.
        seed: by which they are chosen. Default 0.
        on_fault: is told of images without a label. Default: raises an `InputError`.

    Returns:
        A data set whose labels are 0..36 (0..12), the file's values less one, and 255 for unlabelled pixels, which
        files have as 0.

    Raises:
        InputError: an argument is not one of these, a folder is missing, or an image has no label.
    """
    refuse_other_split(split, SPLITS)
    if num_classes not in CLASSES:
        raise InputError(f"num_classes must be 37 or 13 for SUN RGB-D, not {num_classes}.")
    if not 0 < validation < 1:
        raise InputError(f"validation must be a share between 0 and 1, not {validation}.")
    root, part = Path(path), "test" if split == "test" else "train"
    folders = root / IMAGES[part], root / LABELS[num_classes][part]
    for folder in folders:
        if not folder.is_dir():
            raise InputError(
                f"{folder} is not a folder; SUN RGB-D is read from {IMAGES['train']}/, {IMAGES['test']}/ and "
                f"{LABELS[37]['train']}/, as github.com/ankurhanda/sunrgbd-meta-data offers them."
            )
    images, labels = (_by_number(folder, on_fault) for folder in folders)
    offset = TEST_IMAGES if num_classes == 37 and part == "train" else 0
    numbers = _numbers_of(split, sorted(images), validation, seed)
    for number in numbers:
        if number + offset not in labels:
            on_fault(f"{images[number]} has no label; that of number {number + offset} is expected in {folders[1]}.")
    pairs = tuple((images[n], labels[n + offset]) for n in numbers if n + offset in labels)
    coding = LabelCoding({0: 255} | {value: value - 1 for value in range(1, num_classes + 1)}, ignored=255)
    return FileDataset(f"sun_rgbd {split}", CLASSES[num_classes], pairs, coding)


def _by_number(folder: Path, on_fault: OnFault) -> dict[int, Path]:
    """The images of a folder by the last number in their names."""
    found = {}
    for name, file in find_images(folder, on_fault).items():
        numbers = re.findall(r"[0-9]+", name)
        if not numbers:
            on_fault(f"{file} has no number in its name; it should be named as img-000001.")
        else:
            found[int(numbers[-1])] = file
    return found


def _numbers_of(split: str, numbers: list[int], validation: float, seed: int) -> list[int]:
    """Numbers of the images of the official part that belong to a split."""
    if split in ("test", "trainval"):
        return numbers
    order = np.random.default_rng(seed).permutation(numbers).tolist()
    held_out = max(1, round(validation * len(numbers)))
    return sorted(order[:held_out] if split == "val" else order[held_out:])
