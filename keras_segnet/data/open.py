"""Finds out what kind of data set a word or a path means."""

from __future__ import annotations

from pathlib import Path

from keras_segnet.data.camvid import SPLITS, camvid
from keras_segnet.data.dataset import SegmentationDataset
from keras_segnet.data.drawn import street_scenes
from keras_segnet.data.folder import folder
from keras_segnet.errors import InputError

WORDS = ("camvid", "streets")
"""What is no path."""


def available_splits(data: str) -> list[str]:
    """The splits that `open_dataset` finds: all three, unless lists in the folder name fewer."""
    listed = [split for split in SPLITS if (Path(data) / f"{split}.txt").is_file()]
    return listed if listed and data not in WORDS else list(SPLITS)


def open_dataset(data: str, split: str) -> SegmentationDataset:
    """Opens one split of a data set.

    Args:
        data: "camvid" to download CamVid, "streets" for drawn streets, or the path of a folder: with `images/` and
            `labels/` (see `folder`), or with the lists `train.txt`, `val.txt`, `test.txt` (see `camvid`).
        split: "train", "val" or "test".

    Raises:
        InputError: there is no such folder, it is of neither kind, or what it holds is faulty.
    """
    if data == "streets":
        return street_scenes(split)
    if data == "camvid":
        return camvid(None, split)
    path = Path(data)
    if not path.is_dir():
        raise InputError(f"{path} does not exist or is no folder; data is a folder, 'camvid' or 'streets'.")
    if (path / "images").is_dir() or (path / "labels").is_dir():
        return folder(path, split)
    if (path / f"{split}.txt").is_file() or (path / "train.txt").is_file():
        return camvid(path, split)
    raise InputError(
        f"{path} holds neither images/ and labels/ nor lists as CamVid has (train.txt, val.txt, test.txt)."
    )
