"""YOLO segmentation: polygons in a .txt for each image, and `data.yaml` with the names of the classes.

A line of a .txt is a class and the corners of a polygon, as shares of width and height.

Polygons are drawn in the file's order. An image without a .txt has nothing but background.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_segnet.data.annotations import SPLIT_NAMES, Annotated, Annotations, Shape
from keras_segnet.data.files import find_images
from keras_segnet.data.tools import label_tool
from keras_segnet.errors import InputError, shown
from keras_segnet.files import first_line, read_text, reading


def find(path: Path) -> list[Path]:
    """The .yaml with the names, if labels lie in .txt files below a folder named `labels`."""
    if not path.is_dir():
        return []
    files = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
    named = [file for file in files if b"names" in file.read_bytes()][:1]
    return named if named and any("labels" in file.relative_to(path).parts for file in path.rglob("*.txt")) else []


@label_tool("yolo", find, holds="data.yaml with names, images/ and labels/*.txt of YOLO", turn=1)
def read(path: Path) -> Annotations:
    """Reads an export; raises an `InputError` if it is none."""
    (file,) = find(path)
    names = _names(file)
    items = []
    for image in find_images(path).values():
        inside = image.relative_to(path).parts
        place = len(inside) - 1 - inside[::-1].index("images") if "images" in inside else None
        if place is None:
            continue
        label = path.joinpath(*inside[:place], "labels", *inside[place + 1 :]).with_suffix(".txt")
        split = next((SPLIT_NAMES[part.lower()] for part in inside[:-1] if part.lower() in SPLIT_NAMES), None)
        size = _size(image)
        shapes = tuple(_shapes(label, names, size)) if label.is_file() and size else ()
        items.append(Annotated(image.as_posix(), size, shapes, label if label.is_file() else image, split))
    return Annotations(tuple(items), tuple(names.values()))


def _names(file: Path) -> Mapping[int, str]:
    try:
        import yaml
    except ImportError as error:
        raise InputError(f"{file} needs PyYAML to be read: pip install pyyaml.") from error
    text = read_text(file, "the data.yaml of YOLO")
    with reading(file, "is no data.yaml of YOLO"):
        names: Any = yaml.safe_load(text)["names"]
        return {int(key): str(name) for key, name in (names.items() if isinstance(names, dict) else enumerate(names))}


def _size(image: Path) -> tuple[int, int] | None:
    """Height and width of an image as it is seen; None where its reader will say what is wrong with it."""
    try:
        with Image.open(image) as head:
            size = (head.height, head.width)
            return size[::-1] if head.getexif().get(274, 1) > 4 else size
    except Exception:
        return None


def _shapes(label: Path, names: Mapping[int, str], size: tuple[int, int]) -> list[Shape]:
    found = []
    for number, line in enumerate(read_text(label, "labels of YOLO").splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            name, shares = names[int(fields[0])], np.array(fields[1:], np.float64)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{label}, line {number}: {shown(line)} is no class and corners: {first_line(error)}"
            ) from error
        if len(shares) == 4:
            raise InputError(f"{label}, line {number} is a box; labels of YOLO segmentation are polygons.")
        if len(shares) < 6 or len(shares) % 2:
            raise InputError(f"{label}, line {number} has {len(shares)} numbers, which are no corners of a polygon.")
        found.append(Shape(name, (shares.reshape(-1, 2) * size[::-1],)))
    return found
