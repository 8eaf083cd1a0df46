"""Masks with a list of their own classes beside them, in the folders of Pascal VOC.

JPEGImages/a.jpg
SegmentationClass/a.png             RGB, or a palette image; SegmentationClassPNG/ of older labelme2voc
labelmap.txt                        of CVAT ("Segmentation mask"): lines `car:128,0,0::`
class_names.txt                     of labelme2voc: a name a line, in the order of the palette
ImageSets/Segmentation/train.txt    optional: names of a split
"""

from __future__ import annotations

from pathlib import Path

from keras_segnet.colours import distinct_colours
from keras_segnet.data.annotations import BACKGROUND, IGNORE, IGNORED
from keras_segnet.data.class_list import ClassList
from keras_segnet.data.dataset import Classes, FileDataset
from keras_segnet.data.files import OnFault, find_images, read_names, refuse
from keras_segnet.data.kinds import data_kind
from keras_segnet.data.labels import LabelCoding
from keras_segnet.data.splits import FRACTIONS, SPLITS, deal_out, refuse_other_split
from keras_segnet.data.voc2012 import voc_colours
from keras_segnet.errors import InputError, shown
from keras_segnet.files import read_lines, reading

HOLDS = "SegmentationClass/ with labelmap.txt or class_names.txt, of CVAT or labelme2voc"

LISTS = ("labelmap.txt", "class_names.txt")
MASKS = ("SegmentationClassPNG", "SegmentationClass")


def find(path: Path) -> list[Path]:
    """The list of classes of an export, in a folder."""
    lists = [path / name for name in LISTS if (path / name).is_file()]
    return lists[:1] if any((path / name).is_dir() for name in MASKS) else []


def splits_of(path: Path) -> list[str]:
    """The splits that lists name."""
    return [split for split in SPLITS if _list_of(path, split).is_file()]


def _list_of(path: Path, split: str) -> Path:
    return path / "ImageSets" / "Segmentation" / f"{split}.txt"


@data_kind(holds=HOLDS, recognises=lambda path: bool(find(path)), splits=splits_of, turn=0)
def label_map(path: Path, split: str = "train", *, seed: int = 0, on_fault: OnFault = refuse) -> FileDataset:
    """One split of masks with a list of their own classes.

    Args:
        path: the folder, see `keras_segnet.data.tools.label_map`.
        split: "train" (default), "val", "test", or "all" for every mask. Without lists the images are split at
            random as for a folder of one's own.
        seed: of the random split. Default 0.
        on_fault: is told of masks without an image and of listed ones that are missing. Default: raises an
            `InputError`.

    Raises:
        InputError: the split is not one of these or is empty, a folder or an image is missing, or the list of classes
            is faulty.
    """
    refuse_other_split(split, (*SPLITS, "all"))
    if not find(path):
        raise InputError(f"{path} does not hold {HOLDS}.")
    (listed,) = find(path)
    found = _read_label_map(listed) if listed.name == LISTS[0] else _read_names(listed)
    masks = find_images(next(path / name for name in MASKS if (path / name).is_dir()), on_fault)
    # CVAT leaves images out unless it is asked to save them.
    if not (path / "JPEGImages").is_dir():
        raise InputError(f"{path / 'JPEGImages'} is not a folder; export the images with the masks.")
    images = find_images(path / "JPEGImages", on_fault)
    for name in sorted(masks.keys() - images.keys()):
        on_fault(f"{masks[name]} has no image; one named {name}.jpg is expected in {path / 'JPEGImages'}.")
    both = sorted(masks.keys() & images.keys())
    names = both if split == "all" else _of_split(path, split, both, seed, on_fault)
    pairs = tuple((images[name], masks[name]) for name in names)
    return FileDataset(f"{path.resolve().name} {split}", found.classes, pairs, found.coding)


def _of_split(path: Path, split: str, names: list[str], seed: int, on_fault: OnFault) -> list[str]:
    if not any(_list_of(path, each).is_file() for each in SPLITS):
        return deal_out(names, FRACTIONS, seed, path)[split]
    listed, known = _list_of(path, split), set(names)
    for number, name in (lines := read_names(listed)):
        if name not in known:
            on_fault(f"{listed}, line {number}: {name:.300} has no image or no mask.")
    return [name for _, name in lines if name in known]


def _read_label_map(path: Path) -> ClassList:
    """CVAT's list: `name:r,g,b:parts:actions` in each line that does not begin with `#`; without colours, VOC's."""
    names: list[str] = []
    colours: dict[tuple[int, int, int], str] = {}
    lines = [(number, line) for number, line in read_lines(path, "a label map") if not line.startswith("#")]
    palette = voc_colours(256)
    for position, (number, line) in enumerate(lines):
        with reading(path, f"line {number}: {shown(line)} is no name:r,g,b of a class"):
            name, written = line.split(":")[:2]
            red, green, blue = map(int, written.split(",")) if written.strip() else palette[position]
            if not all(0 <= part <= 255 for part in (red, green, blue)) or (red, green, blue) in colours:
                raise ValueError("its colour is no colour, or another class's")
            colours[red, green, blue] = name
            names.append(name)
    return _class_list(path, names, colours)


def _read_names(path: Path) -> ClassList:
    """labelme2voc's list: a name a line, `__ignore__` for -1, so that the next one is index 0; colours are VOC's."""
    names = [name for _, name in read_lines(path, "a list of names of classes")]
    first = 1 if names and names[0].lower() in IGNORE else 0
    palette = voc_colours(256)
    return _class_list(path, names, {palette[index]: name for index, name in enumerate(names[first:])})


def _class_list(path: Path, names: list[str], colours: dict[tuple[int, int, int], str]) -> ClassList:
    kept = [name for name in dict.fromkeys(names) if name.lower() not in IGNORE]
    if not 2 <= len(kept) <= IGNORED:
        raise InputError(f"num_classes must be 2 to {IGNORED}; {path} has {len(kept)}.")
    number = {name: kept.index(name) if name in kept else IGNORED for name in names}
    own = {name: colour for colour, name in colours.items()}
    drawn = distinct_colours(len(kept))
    shown_in = tuple(
        own[name] if any(own[name]) or name.lower() in BACKGROUND else drawn[place] for place, name in enumerate(kept)
    )
    # A palette image's index is the place in the list, without what is ignored.
    values = {place: number[name] for place, name in enumerate(kept)} | {IGNORED: IGNORED}
    # The rims that labelme2voc and VOC leave between things.
    codes = {colour: number[name] for colour, name in colours.items()}
    codes.setdefault((224, 224, 192), IGNORED)
    return ClassList(Classes(tuple(kept), shown_in, IGNORED), LabelCoding(values, codes, IGNORED))
