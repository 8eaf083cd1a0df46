"""Finds out what kind of data set a word or a path means."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from zipfile import ZipFile

from keras_segnet.data.annotations import Annotations, open_annotations, splits_of
from keras_segnet.data.camvid import camvid, has_lists, is_original
from keras_segnet.data.cityscapes import cityscapes
from keras_segnet.data.class_list import write_class_list
from keras_segnet.data.dataset import SegmentationDataset
from keras_segnet.data.drawn import street_scenes
from keras_segnet.data.files import OnFault, refuse
from keras_segnet.data.folder import folder, write_folder
from keras_segnet.data.splits import SPLITS
from keras_segnet.data.sun_rgbd import IMAGES as SUN_RGBD_IMAGES
from keras_segnet.data.sun_rgbd import sun_rgbd
from keras_segnet.data.tools import coco, cvat, label_map, label_studio, labelme, supervisely, yolo
from keras_segnet.data.voc2012 import find_root as find_voc2012
from keras_segnet.data.voc2012 import voc2012
from keras_segnet.errors import InputError
from keras_segnet.files import reading
from keras_segnet.progress import Progress, silent

WORDS = ("camvid", "streets")
"""What is no path."""


@dataclass(frozen=True)
class Kind:
    """A way in which a data set can lie in a folder.

    Attributes:
        open: of a path and a split, makes the data set; takes `on_fault` too.
        recognises: whether a folder, or a file, looks like it.
        holds: what such a folder holds, for messages.
        splits: of a path, those of `SPLITS` that it says it has; none where images are dealt out at random, and where
            there is a split "all" of them.
    """

    open: Callable[..., SegmentationDataset]
    recognises: Callable[[Path], bool]
    holds: str
    splits: Callable[[Path], list[str]] = lambda path: list(SPLITS)


def _has(*parts: str) -> Callable[[Path], bool]:
    return lambda path: any((path / part).is_dir() for part in parts)


def _listed(path: Path) -> list[str]:
    """The splits that lists in the folder name."""
    return [split for split in SPLITS if (path / f"{split}.txt").is_file()]


def _export(tool: ModuleType) -> Kind:
    """A label tool's export, of which `tool` is the module in `keras_segnet.data.tools`."""

    def read(path: Path) -> Annotations:
        if not tool.find(path):
            raise InputError(f"{path} does not hold {tool.HOLDS}.")
        found: Annotations = tool.read(path)
        return found

    def open_export(path: Path, split: str, *, on_fault: OnFault = refuse) -> SegmentationDataset:
        return open_annotations(path if path.is_dir() else path.parent, read(path), split, on_fault)

    return Kind(open_export, lambda path: bool(tool.find(path)), tool.HOLDS, lambda path: splits_of(read(path)))


KINDS = {
    "label_map": Kind(
        label_map.label_map, lambda path: bool(label_map.find(path)), label_map.HOLDS, label_map.splits_of
    ),
    "voc2012": Kind(
        voc2012,
        lambda path: find_voc2012(path) is not None,
        "JPEGImages/ and SegmentationClass/",
        lambda path: ["train", "val"],
    ),
    "cityscapes": Kind(
        cityscapes, _has("leftImg8bit", "gtFine"), "leftImg8bit/ and gtFine/", lambda path: ["train", "val"]
    ),
    "sun_rgbd": Kind(
        sun_rgbd,
        _has(*SUN_RGBD_IMAGES.values(), "SUNRGBDtoolbox"),
        "SUNRGBD-train_images/ and sunrgbd_train_test_labels/",
    ),
    "yolo": _export(yolo),
    "folder": Kind(
        folder,
        lambda path: all((path / part).is_dir() for part in ("images", "labels")),
        "images/ and labels/",
        _listed,
    ),
    "coco": _export(coco),
    "label_studio": _export(label_studio),
    "cvat": _export(cvat),
    "supervisely": _export(supervisely),
    "labelme": _export(labelme),
    "camvid": Kind(
        camvid,
        lambda path: has_lists(path) or is_original(path),
        "train.txt, val.txt and test.txt with lines of an image and a label, or LabeledApproved_full/",
        lambda path: _listed(path) or list(SPLITS),
    ),
}
"""In the order in which a folder is tried."""


def open_dataset(data: str, split: str, on_fault: OnFault = refuse) -> SegmentationDataset:
    """Opens one split of a data set.

    Args:
        data: "camvid" to download CamVid, "streets" for drawn streets, or the path of a folder or of a label tool's
            file, whose kind is told by what it holds (see `KINDS`), or said before it: `voc2012:PATH`.
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
    """The splits that `open_dataset` finds: all that the kind has, unless the data say that they have fewer."""
    if data in WORDS:
        return list(SPLITS)
    kind, path = kind_and_path(data)
    return KINDS[kind].splits(path) or list(SPLITS)


def convert(data: str, output: Path, progress: Progress = silent) -> SegmentationDataset:
    """Writes a data set of any kind, such as a label tool's export, as a folder of one's own.

    Args:
        data: as for `open_dataset`; or a .zip archive of such a folder, as tools give it.
        output: the folder, which must not exist yet; gets images/, labels/, classes.csv, and a list for each split that
            the data set itself has.
        progress: shows how far it is.

    Returns:
        What was written, as a data set without splits, for a look at it.

    Raises:
        InputError: see `open_dataset` and `write_folder`. Nothing is written then.
    """
    if Path(data).suffix.lower() == ".zip" and Path(data).is_file():
        output.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{output.name}", dir=output.parent) as place:
            return convert(str(_unpacked(Path(data), Path(place))), output, progress)
    kind, path = kind_and_path(data)
    named = KINDS[kind].splits(path)
    splits = {split: open_dataset(data, split) for split in named or ("all",)}
    write_folder(output, splits, progress)
    classes = next(iter(splits.values())).classes
    write_class_list(output / "classes.csv", classes)
    (output / "classes.txt").unlink()
    if not named:
        (output / "all.txt").unlink()
    return folder(output, "all")


def _unpacked(archive: Path, place: Path) -> Path:
    """Unpacks an archive, and returns the folder in it that holds everything, or the place."""
    with reading(archive, "cannot be unpacked as a .zip archive"), ZipFile(archive) as members:
        size, room = sum(member.file_size for member in members.infolist()), shutil.disk_usage(place).free
        if size > room:
            raise InputError(f"{archive} unpacks to {size:,} bytes, and there is room for {room:,} in {place.parent}.")
        members.extractall(place)
    inside = [path for path in place.iterdir() if path.name != "__MACOSX"]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else place


def kind_and_path(data: str) -> tuple[str, Path]:
    """What kind of data set lies where; see `open_dataset`."""
    said, colon, rest = data.partition(":")
    kind, path = (said, Path(rest)) if colon and said in KINDS else ("", Path(data))
    if not path.exists():
        raise InputError(
            f"{path} does not exist; data is a folder, a label tool's file, 'camvid' or 'streets', or KIND:PATH with "
            f"one of the kinds {', '.join(KINDS)}."
        )
    if path.suffix.lower() == ".zip":
        raise InputError(f"{path} is an archive; unpack it and give the folder, or `data convert` it.")
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
