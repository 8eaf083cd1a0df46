"""One's own data: a folder with `images/` and `labels/`."""

from __future__ import annotations

import colorsys
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_segnet.data.camvid import CLASSES as CAMVID
from keras_segnet.data.dataset import Classes, FileDataset, SegmentationDataset
from keras_segnet.data.images import EXTENSIONS, list_images, read_label, refuse_damaged, write_png
from keras_segnet.errors import InputError
from keras_segnet.files import read_lines

SPLITS = ("train", "val", "test", "all")
USUAL_IGNORED = 255


def folder(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    ignore_class: int | None = USUAL_IGNORED,
    fractions: tuple[float, float] = (0.15, 0.15),
    seed: int = 0,
) -> FileDataset:
    """One's own images in `images/`, and for each a label of the same name in `labels/`.

    A label is an 8-bit grey image of its image's size, whose value is the class. Which images belong to a split is
    written in `train.txt`, `val.txt` and `test.txt` (a name a line, with or without extension) if there is one of
    these files; else the images are dealt out at random by `fractions` and `seed`.

    Args:
        path: the folder.
        split: "train" (default), "val", "test", or "all" for every image.
        num_classes: number of classes. Default: that of `class_names`, else of the lines of `classes.txt`, else what
            the labels hold, provided that they leave out no value on the way up.
        class_names: a name for each class. Default: the lines of `classes.txt`, else CamVid's names for 11 classes,
            else "class 0", "class 1", ...
        ignore_class: label value of pixels to ignore, or None. Default 255.
        fractions: shares of validation and test images where no list says. Default 0.15 each; at least one image each.
        seed: of the random split. Default 0.

    Raises:
        InputError: a folder, a label or a listed image is missing; the split is empty or not one of these; or the
            number of classes cannot be told.
    """
    if split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}; not {split!r}.")
    root = Path(path)
    for name in ("images", "labels"):
        if not (root / name).is_dir():
            raise InputError(f"{root / name} is not a folder; {root} should hold images/ and labels/.")
    images = {file.stem: file for file in list_images(root / "images")}
    labels = {file.stem: file for file in list_images(root / "labels")}
    without = sorted(set(images) - set(labels))
    if without:
        raise InputError(
            f"{images[without[0]]} has no label; one named {without[0]}.png is expected in {root / 'labels'}."
        )

    names = sorted(images) if split == "all" else _split_names(root, split, sorted(images), fractions, seed)
    classes = _classes(root, num_classes, class_names, ignore_class, [labels[name] for name in sorted(images)])
    return FileDataset(f"{root.name} {split}", classes, tuple((images[name], labels[name]) for name in names))


def write_folder(path: str | os.PathLike[str], splits: Mapping[str, SegmentationDataset]) -> None:
    """Writes data sets as a folder that `folder` reads: images/, labels/, classes.txt and a list for each split.

    Args:
        path: of the folder, which must not exist yet.
        splits: a data set for each of "train", "val" and "test"; all of the same classes. Ignored pixels become 255.

    Raises:
        InputError: there is something at `path` already.
    """
    root = Path(path)
    if root.exists():
        raise InputError(f"{root} exists already; choose another folder.")
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    for split, dataset in splits.items():
        names = [dataset.item_name(index) for index in range(len(dataset))]
        for index, name in enumerate(names):
            image, label = dataset[index]
            write_png(root / "images" / f"{name}.png", image)
            write_png(root / "labels" / f"{name}.png", np.where(label < len(dataset.classes), label, USUAL_IGNORED))
        (root / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        (root / "classes.txt").write_text("\n".join(dataset.classes.names) + "\n", encoding="utf-8")


def _split_names(root: Path, split: str, names: list[str], fractions: tuple[float, float], seed: int) -> list[str]:
    listed = root / f"{split}.txt"
    if any((root / f"{name}.txt").is_file() for name in SPLITS):
        if not listed.is_file():
            raise InputError(f"{listed} does not exist, though {root} has lists of other splits.")
        chosen = []
        for number, name in read_lines(listed, "a list of names of images"):
            stem = Path(name).stem if Path(name).suffix.lower() in EXTENSIONS else name
            if stem not in names:
                raise InputError(f"{listed}, line {number}: there is no image {name} in {root / 'images'}.")
            chosen.append(stem)
        if not chosen:
            raise InputError(f"{listed} is an empty split; it names no image.")
        return chosen
    if not (min(fractions) >= 0 and sum(fractions) < 1):
        raise InputError(
            f"fractions must be shares of validation and test images that leave some over; not {fractions}."
        )
    validation, test = (max(1, round(fraction * len(names))) for fraction in fractions)
    if validation + test >= len(names):
        raise InputError(
            f"{root / 'images'} holds {len(names)} image(s), too few to deal out to training, "
            "validation and test; three are needed, or lists train.txt, val.txt and test.txt."
        )
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    parts = {
        "val": order[:validation],
        "test": order[validation : validation + test],
        "train": order[validation + test :],
    }
    return sorted(parts[split])


def _classes(
    root: Path,
    num_classes: int | None,
    class_names: Sequence[str] | None,
    ignore_class: int | None,
    labels: list[Path],
) -> Classes:
    listed = root / "classes.txt"
    if class_names is None and listed.is_file():
        class_names = [name for _, name in read_lines(listed, "a list of names of classes")]
    if num_classes is None:
        num_classes = _count_values(labels, ignore_class) if class_names is None else len(class_names)
    if not 2 <= num_classes <= 255:
        raise InputError(f"num_classes must be 2 to 255; {root} has {num_classes}.")
    if class_names is not None and len(class_names) != num_classes:
        raise InputError(f"there are {len(class_names)} class names for {num_classes} classes.")
    if num_classes == len(CAMVID):
        return Classes(tuple(class_names or CAMVID.names), CAMVID.colours, ignore_class)
    return Classes(
        tuple(class_names or (f"class {i}" for i in range(num_classes))), distinct_colours(num_classes), ignore_class
    )


def _count_values(labels: list[Path], ignore_class: int | None) -> int:
    """The number of classes that label files hold, if their values go up from 0 without a gap."""
    first_file_with: dict[int, Path] = {}
    for path in labels:
        refuse_damaged(path)
        for value in np.unique(read_label(path)).tolist():
            first_file_with.setdefault(value, path)
    values = sorted(value for value in first_file_with if value != ignore_class)
    for expected, value in enumerate(values):
        if value != expected:
            raise InputError(
                f"{first_file_with[value]} holds the label value {value}, but no label holds {expected}; if that is "
                "meant, say how many classes there are (num_classes, or a line a class in classes.txt)."
            )
    return len(values)


def distinct_colours(count: int) -> tuple[tuple[int, int, int], ...]:
    """As many colours as there are classes, told apart by hue and, in turn, by brightness."""
    colours = []
    for i in range(count):
        red, green, blue = colorsys.hsv_to_rgb(i * 0.618034 % 1, 0.75, (0.95, 0.7, 0.5)[i % 3])
        colours.append((round(255 * red), round(255 * green), round(255 * blue)))
    return tuple(colours)
