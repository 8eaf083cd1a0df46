"""Finds out what kind of data set a word or a path means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from keras_segnet.data.camvid import camvid, has_lists, is_original
from keras_segnet.data.cityscapes import cityscapes
from keras_segnet.data.dataset import FileDataset, SegmentationDataset
from keras_segnet.data.drawn import street_scenes
from keras_segnet.data.files import OnFault, refuse
from keras_segnet.data.folder import folder
from keras_segnet.data.splits import SPLITS
from keras_segnet.data.sun_rgbd import IMAGES as SUN_RGBD_IMAGES
from keras_segnet.data.sun_rgbd import sun_rgbd
from keras_segnet.data.voc2012 import find_root as find_voc2012
from keras_segnet.data.voc2012 import voc2012
from keras_segnet.errors import InputError

WORDS = ("camvid", "streets")
"""What is no path."""


@dataclass(frozen=True)
class Kind:
    """A way in which a data set can lie in a folder.

    Attributes:
        open: of a path and a split, makes the data set; takes `on_fault` too.
        recognises: whether a folder looks like it.
        holds: what such a folder holds, for messages.
        splits: those that it can have of `SPLITS`.
    """

    open: Callable[..., FileDataset]
    recognises: Callable[[Path], bool]
    holds: str
    splits: tuple[str, ...] = SPLITS


def _has(*parts: str) -> Callable[[Path], bool]:
    return lambda path: any((path / part).is_dir() for part in parts)


KINDS = {
    "voc2012": Kind(
        voc2012,
        lambda path: find_voc2012(path) is not None,
        "JPEGImages/ and SegmentationClass/",
        ("train", "val"),
    ),
    "cityscapes": Kind(cityscapes, _has("leftImg8bit", "gtFine"), "leftImg8bit/ and gtFine/", ("train", "val")),
    "sun_rgbd": Kind(
        sun_rgbd,
        _has(*SUN_RGBD_IMAGES.values(), "SUNRGBDtoolbox"),
        "SUNRGBD-train_images/ and sunrgbd_train_test_labels/",
    ),
    "folder": Kind(folder, _has("images", "labels"), "images/ and labels/"),
    "camvid": Kind(
        camvid,
        lambda path: has_lists(path) or is_original(path),
        "train.txt, val.txt and test.txt with lines of an image and a label, or LabeledApproved_full/",
    ),
}
"""In the order in which a folder is tried."""


def open_dataset(data: str, split: str, on_fault: OnFault = refuse) -> SegmentationDataset:
    """Opens one split of a data set.

    Args:
        data: "camvid" to download CamVid, "streets" for drawn streets, or the path of a folder, whose kind is told
            by what it holds (see `KINDS`), or said before it: `voc2012:PATH`.
        split: "train", "val" or "test".
        on_fault: is told of files that are missing. Default: raises an `InputError`.

    Raises:
        InputError: there is no such folder, it is of none of these kinds, or what it holds is faulty.
    """
    if data == "streets":
        return street_scenes(split)
    if data == "camvid":
        return camvid(None, split)
    kind, path = kind_and_path(data)
    return KINDS[kind].open(path, split, on_fault=on_fault)


def available_splits(data: str) -> list[str]:
    """The splits that `open_dataset` finds: all that there are of the kind, unless lists in the folder name fewer."""
    if data in WORDS:
        return list(SPLITS)
    kind, path = kind_and_path(data)
    listed = [split for split in SPLITS if (path / f"{split}.txt").is_file()]
    return listed if listed and kind in ("folder", "camvid") else list(KINDS[kind].splits)


def kind_and_path(data: str) -> tuple[str, Path]:
    """What kind of data set lies where; see `open_dataset`."""
    said, colon, rest = data.partition(":")
    kind, path = (said, Path(rest)) if colon and said in KINDS else ("", Path(data))
    if not path.is_dir():
        raise InputError(
            f"{path} does not exist or is no folder; data is a folder, 'camvid' or 'streets', or KIND:FOLDER with one "
            f"of the kinds {', '.join(KINDS)}."
        )
    found = kind or next((name for name, kind in KINDS.items() if kind.recognises(path)), "")
    if not found:
        known = "; ".join(f"{kind.holds} ({name})" for name, kind in KINDS.items())
        raise InputError(f"{path} holds neither of what the known data sets do: {known}.")
    return found, path


def absolute(data: str) -> str:
    """The same data set from the root of the file system, so that a run can go on from another folder."""
    if data in WORDS:
        return data
    said, colon, rest = data.partition(":")
    return f"{said}:{Path(rest).resolve()}" if colon and said in KINDS else str(Path(data).resolve())
