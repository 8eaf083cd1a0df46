"""One's own data: a folder with `images/` and `labels/`, alike inside.

A label has the name of its image:

    images/a.jpg       labels/a.png
    images/b.png       labels/b.png
    images/dusk/c.png  labels/dusk/c.png
    images/dusk/d.png  labels/dusk/d.png
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_segnet.colours import distinct_colours
from keras_segnet.data.class_list import ClassList, read_class_list
from keras_segnet.data.dataset import Classes, FileDataset, SegmentationDataset
from keras_segnet.data.files import OnFault, find_images, read_names, refuse, without_extension
from keras_segnet.data.images import read_label, refuse_damaged, write_png
from keras_segnet.data.kinds import data_kind, listed
from keras_segnet.data.splits import FRACTIONS, SPLITS, deal_out, refuse_other_split
from keras_segnet.errors import InputError
from keras_segnet.files import PARTIAL, read_lines, unique_file_names, write_text
from keras_segnet.progress import Progress, silent
from keras_segnet.threads import in_threads

SPLITS_AND_ALL = (*SPLITS, "all")
USUAL_IGNORED = 255


@data_kind(
    holds="images/ and labels/",
    recognises=lambda path: all((path / part).is_dir() for part in ("images", "labels")),
    splits=listed,
    turn=2,
)
def folder(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    ignore_class: int | None = USUAL_IGNORED,
    fractions: tuple[float, float] = FRACTIONS,
    seed: int = 0,
    on_fault: OnFault = refuse,
) -> FileDataset:
    """One's own images in `images/`, and for each a label of the same name in `labels/`; folders in these are fine.

    Images are of any kind that OpenCV reads, with 8 or 16 bits, grey or RGB. A label has its image's size and is

    * 8-bit grey: the value is the class;
    * a palette image: the index is the class;
    * RGB: the colour is the class, as `classes.csv` or `classes.json` says, see
      `keras_segnet.data.class_list.read_class_list`.

    Which images belong to a split is written in `train.txt`, `val.txt` and `test.txt` if there is one of these files: a
    name a line, as it is below `images/`, with or without extension and folders before it, or with its label's path
    behind it. Else the images are split at random by `fractions` and `seed`.

    Args:
        path: the folder.
        split: "train" (default), "val", "test", or "all" for every image.
        num_classes: number of classes. Default: that of `class_names`, else of `classes.csv`, `classes.json` or the
            lines of `classes.txt`, else what the labels hold, provided that they leave out no value on the way up.
        class_names: a name for each class. Default: those of `classes.csv`, `classes.json` or `classes.txt`, else
            "class 0", "class 1", ...
        ignore_class: label value of pixels to ignore, or None. Default 255.
        fractions: shares of validation and test images where no list says. Default 0.15 each; at least one image each.
        seed: of the random split. Default 0.
        on_fault: is told of images without a label, labels without an image and listed images that are missing.
            Default: raises an `InputError`.

    Raises:
        InputError: a folder, a label or a listed image is missing; the split is empty or not one of these; the list
            of classes is faulty; or the number of classes cannot be told.
    """
    refuse_other_split(split, SPLITS_AND_ALL)
    root = Path(path)
    for name in ("images", "labels"):
        if not (root / name).is_dir():
            raise InputError(f"{root / name} is not a folder; {root} should hold images/ and labels/.")
    images = find_images(root / "images", on_fault)
    labels = find_images(root / "labels", on_fault)
    if split != "all" and any((root / f"{name}.txt").is_file() for name in SPLITS):
        names = _listed(root, split, images, labels, on_fault)
    else:
        parts = (
            {"all": sorted(images)} if split == "all" else deal_out(sorted(images), fractions, seed, root / "images")
        )
        for name in sorted(images.keys() - labels.keys()):
            on_fault(f"{images[name]} has no label; one named {name}.png is expected in {root / 'labels'}.")
        for name in sorted(labels.keys() - images.keys()):
            on_fault(f"{labels[name]} has no image; one of the name {name} is expected in {root / 'images'}.")
        names = [name for name in parts[split] if name in labels]
    found = _classes(root, num_classes, class_names, ignore_class, sorted(labels.values()), on_fault)
    pairs = tuple((images[name], labels[name]) for name in names)
    return FileDataset(f"{root.resolve().name} {split}", found.classes, pairs, found.coding)


def write_folder(
    path: str | os.PathLike[str], splits: Mapping[str, SegmentationDataset], progress: Progress = silent
) -> None:
    """Writes data sets as a folder that `folder` reads: images/, labels/, classes.txt and a list for each split.

    Args:
        path: of the folder, which must not exist yet.
        splits: a data set for each of "train", "val" and "test"; all of the same classes. Ignored pixels become 255.
            Files are named as the examples, see `keras_segnet.files.unique_file_names`: of examples with one name, in
            one split or in two, the second and later ones get a number.
        progress: shows how far it is.

    Raises:
        InputError: there is something at `path` already, the data sets have different classes, or an example cannot be
            read; nothing is written then.
    """
    target = Path(path)
    if target.exists():
        raise InputError(f"{target} exists already; choose another folder.")
    classes, *others = (dataset.classes for dataset in splits.values())
    if any(other.names != classes.names for other in others):
        raise InputError("the splits of a data set must have the same classes; these have different ones.")
    target.parent.mkdir(parents=True, exist_ok=True)
    root = target.with_name(f"{target.name}{PARTIAL}")
    shutil.rmtree(root, ignore_errors=True)
    try:
        root.mkdir()
        _write(root, splits, classes, progress)
        root.rename(target)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _write(root: Path, splits: Mapping[str, SegmentationDataset], classes: Classes, progress: Progress) -> None:
    for part in ("images", "labels"):
        (root / part).mkdir()
    items = [(dataset, index) for dataset in splits.values() for index in range(len(dataset))]
    names = iter(unique_file_names(dataset.item_name(index) for dataset, index in items))
    for split, dataset in splits.items():
        files = [f"{next(names)}.png" for _ in range(len(dataset))]
        for index, file in enumerate(progress(files, len(files), f"Writing {dataset.name}")):
            image, label = dataset[index]
            write_png(root / "images" / file, image)
            write_png(root / "labels" / file, np.where(label < len(classes), label, USUAL_IGNORED))
        write_text(root / f"{split}.txt", "\n".join(files) + "\n")
    write_text(root / "classes.txt", "\n".join(classes.names) + "\n")


def _listed(
    root: Path, split: str, images: Mapping[str, Path], labels: Mapping[str, Path], on_fault: OnFault
) -> list[str]:
    """The names in a split's list that have an image and a label."""
    path = root / f"{split}.txt"
    if not path.is_file():
        raise InputError(f"{path} does not exist, though {root} has lists of other splits.")
    chosen = []
    for number, line in read_names(path):
        name = _name_in(line, images)
        if name is None:
            on_fault(f"{path}, line {number}: there is no image {line:.300} in {root / 'images'}.")
        elif name not in labels:
            on_fault(f"{images[name]} has no label; one named {name}.png is expected in {root / 'labels'}.")
        else:
            chosen.append(name)
    return chosen


def _name_in(line: str, images: Mapping[str, Path]) -> str | None:
    """The image that a line of a list means; None if there is none.

    The line is a name below images/, whatever folders the list has before it; or a path of an image and one of its
    label, which has the same name.
    """
    if len(fields := line.split()) == 2:
        image, label = (_name_in(field, images) for field in fields)
        if image and label:
            return image if image == label else None
    parts = without_extension(line).split("/")
    names = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((name for name in names if name in images), None)


def _classes(
    root: Path,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    ignore_class: int | None,
    labels: list[Path],
    on_fault: OnFault,
) -> ClassList:
    listed = read_class_list(root, ignore_class)
    if listed is not None:
        names = tuple(class_names or listed.classes.names)
        for number in (len(names), num_classes):
            _refuse_other_number(len(listed.classes), number)
        return ClassList(replace(listed.classes, names=names), listed.coding)
    if class_names is None and (root / "classes.txt").is_file():
        class_names = [name for _, name in read_lines(root / "classes.txt", "a list of names of classes")]
    if num_classes is None:
        num_classes = _count_values(labels, ignore_class, on_fault) if class_names is None else len(class_names)
    if not 2 <= num_classes <= 255:
        raise InputError(f"num_classes must be 2 to 255; {root} has {num_classes}.")
    if class_names is not None:
        _refuse_other_number(len(class_names), num_classes)
    names = tuple(class_names or (f"class {i}" for i in range(num_classes)))
    classes = Classes(names, distinct_colours(num_classes), ignore_class)
    return ClassList(classes, classes.coding)


def _refuse_other_number(names: int, num_classes: int | None) -> None:
    if num_classes is not None and names != num_classes:
        raise InputError(f"there are {names} class names for {num_classes} classes.")


def _count_values(labels: list[Path], ignore_class: int | None, on_fault: OnFault) -> int:
    """The number of classes that label files hold, if their values go up from 0 without a gap."""
    first_file_with: dict[int, Path] = {}
    faults: list[str] = []
    with closing(in_threads(_values, labels)) as reading:
        for path, found in zip(labels, reading, strict=True):
            if isinstance(found, str):
                faults.append(found)
                on_fault(found)
            else:
                for value in found:
                    first_file_with.setdefault(value, path)
    values = sorted(value for value in first_file_with if value != ignore_class)
    if not first_file_with and faults:
        raise InputError(faults[0])  # That there are no classes follows from it.
    if values == [0] and ignore_class in first_file_with:
        raise InputError(
            f"{labels[0].parent} holds labels of 0 and {ignore_class} only, and {ignore_class} means ignored pixels. "
            "If it is a class, say so in classes.csv: name,r,g,b with 0,0,0 and 255,255,255."
        )
    for expected, value in enumerate(values):
        if value != expected:
            on_fault(
                f"{first_file_with[value]} holds the label value {value}, but no label holds {expected}; if that is "
                "meant, say how many classes there are (num_classes, or a line a class in classes.txt)."
            )
            return expected
    return len(values)


def _values(path: Path) -> list[int] | str:
    """The values that a grey or palette label holds, or what is wrong with it."""
    try:
        refuse_damaged(path)
        label = read_label(path)
    except InputError as error:
        return str(error)
    if label.ndim == 3:
        return (
            f"{path} has 3 channels of uint8; for labels that are RGB, classes.csv in {path.parent.parent} says which "
            "colour is which class, in lines of name,r,g,b."
        )
    return np.flatnonzero(np.bincount(label.ravel(), minlength=256)).tolist()
