"""Finds out what kind of data set a word or a path means."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from keras_segnet.data.camvid import camvid
from keras_segnet.data.class_list import write_class_list
from keras_segnet.data.dataset import SegmentationDataset
from keras_segnet.data.drawn import street_scenes
from keras_segnet.data.files import OnFault, refuse
from keras_segnet.data.folder import folder, write_folder
from keras_segnet.data.kinds import KINDS, recognised
from keras_segnet.data.splits import SPLITS
from keras_segnet.errors import InputError
from keras_segnet.files import reading
from keras_segnet.progress import Progress, silent

WORDS = ("camvid", "streets")
"""Values of `data` that are no paths."""

ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
"""Extensions of archives, which must be unpacked before they are read."""


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
    dataset: SegmentationDataset = KINDS[kind].open(path, split, on_fault=on_fault)
    return dataset


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
    if path.suffix.lower() in ARCHIVES:
        unpacked = f", or what this makes of it: keras-segnet data convert {path} FOLDER"
        raise InputError(
            f"{path} is an archive; unpack it and give the folder{unpacked if path.suffix.lower() == '.zip' else ''}."
        )
    found = kind or recognised(path)
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
