"""COCO: one .json with `images`, `annotations` and `categories`; polygons and run lengths.

Shapes are drawn in the file's order, crowds (`iscrowd`) below all others: a crowd is of its class too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.data import polygons
from keras_segnet.data.annotations import SPLIT_NAMES, Annotated, Annotations, Shape
from keras_segnet.data.tools import label_tool
from keras_segnet.files import read_json, reading


def find(path: Path) -> list[Path]:
    """The files of an export at a path: itself, or those in the folder or in `annotations/` in it."""
    files = [path] if path.is_file() else sorted([*path.glob("*.json"), *path.glob("annotations/*.json")])
    found = [file for file in files if file.suffix.lower() == ".json" and _is_one(file)]
    # Beside these COCO has the same people again, as the corners of their skeletons.
    return [file for file in found if file.name.startswith("instances")] or found


def _is_one(file: Path) -> bool:
    with file.open("rb") as content:
        start = content.read(1)
        if start != b"{":
            return False
        content.seek(0)
        text = content.read()
    return all(f'"{key}"'.encode() in text for key in ("images", "annotations", "categories"))


@label_tool("coco", find, holds=".json of COCO, with images, annotations and categories")
def read(path: Path) -> Annotations:
    """Reads an export; raises an `InputError` if it is none."""
    files = find(path)
    items: list[Annotated] = []
    names: dict[int, str] = {}
    for file in files:
        content = read_json(file, "an export of COCO")
        with reading(file, "is no export of COCO"):
            categories = {int(each["id"]): str(each["name"]) for each in content["categories"]}
            names |= dict(sorted(categories.items()))
            items += _images(file, content, categories, _split(file) if len(files) > 1 else None)
    return Annotations(tuple(items), tuple(dict.fromkeys(names.values())))


def _split(file: Path) -> str | None:
    """The split that a name such as `instances_train2017.json` says."""
    parts = file.stem.lower().replace("-", "_").split("_")
    return next(
        (SPLIT_NAMES[part.strip("0123456789")] for part in parts if part.strip("0123456789") in SPLIT_NAMES), None
    )


def _images(file: Path, content: Mapping[str, Any], names: Mapping[int, str], split: str | None) -> list[Annotated]:
    of_image: dict[Any, list[Mapping[str, Any]]] = {}
    for annotation in content["annotations"]:
        of_image.setdefault(annotation["image_id"], []).append(annotation)
    found = []
    for image in content["images"]:
        on_it = sorted(of_image.get(image["id"], []), key=lambda each: not each.get("iscrowd"))
        shapes = tuple(_shape(each, names[int(each["category_id"])]) for each in on_it if each.get("segmentation"))
        size = (int(image["height"]), int(image["width"]))
        found.append(Annotated(str(image["file_name"]), size, shapes, file, split))
    return found


def _shape(annotation: Mapping[str, Any], name: str) -> Shape:
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        # One thing in several parts, each of them full: no ring is a hole in another.
        parts = [np.array(part, np.float64).reshape(-1, 2) for part in segmentation]
        return Shape(name, mask=lambda size: np.any([polygons.fill([part], size) for part in parts], axis=0))
    counts, size = segmentation["counts"], tuple(segmentation["size"])
    return Shape(name, mask=_runs(counts, size))


def _runs(counts: str | Sequence[int], size: tuple[int, ...]) -> Callable[[tuple[int, int]], np.ndarray]:
    def mask(wanted: tuple[int, int]) -> np.ndarray:
        if tuple(size) != tuple(wanted):
            raise ValueError(f"run lengths for {size[0]}x{size[1]} in an image of {wanted[0]}x{wanted[1]}")
        return polygons.from_runs(decoded(counts) if isinstance(counts, str) else counts, wanted, by_column=True)

    return mask


def decoded(text: str) -> list[int]:
    """The run lengths in COCO's compressed text.

    Five bits a character, from the lowest on; from the fourth length on it is the difference to the length two before.

    >>> decoded("125")
    [1, 2, 5]
    """
    counts: list[int] = []
    place = 0
    while place < len(text):
        value = shift = 0
        more = True
        while more:
            bits = ord(text[place]) - 48
            value |= (bits & 31) << shift
            shift += 5
            place += 1
            more = bool(bits & 32)
            if not more and bits & 16:
                value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts
