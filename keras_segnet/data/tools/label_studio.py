"""Label Studio: one .json, a list of tasks with polygons, boxes, ellipses and brush strokes.

Of several annotations of one task the first that was not cancelled counts, of several labels of one region the first.
Regions are drawn in the file's order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from keras_segnet.data import polygons
from keras_segnet.data.annotations import Annotated, Annotations, Shape
from keras_segnet.data.tools import label_tool
from keras_segnet.files import read_json, reading

KINDS = ("polygonlabels", "rectanglelabels", "ellipselabels", "brushlabels")


def find(path: Path) -> list[Path]:
    """The files of an export at a path: itself, or those in the folder."""
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    return [file for file in files if file.suffix.lower() == ".json" and _is_one(file)]


def _is_one(file: Path) -> bool:
    content = file.read_bytes()
    return content.lstrip()[:1] == b"[" and b'"annotations"' in content and b'"data"' in content


@label_tool("label_studio", find, holds=".json of Label Studio, a list of tasks with annotations")
def read(path: Path) -> Annotations:
    """Reads an export; raises an `InputError` if it is none."""
    items = []
    for file in find(path):
        tasks = read_json(file, "an export of Label Studio")
        with reading(file, "is no export of Label Studio"):
            items += [_image(file, task) for task in tasks]
    return Annotations(tuple(items))


def _image(file: Path, task: Mapping[str, Any]) -> Annotated:
    written = next(value for value in task["data"].values() if isinstance(value, str))
    path = PurePosixPath(unquote(written.split("?d=")[-1].split("?")[0]).replace("\\", "/"))
    # What is uploaded gets eight characters before its name, which the folder of one's own images does not have.
    if "upload" in path.parts:
        path = path.with_name(re.sub(r"^[0-9a-f]{8}-", "", path.name))
    kept = [each for each in task["annotations"] if not each.get("was_cancelled")]
    results = [each for each in (kept[0]["result"] if kept else ()) if each.get("type") in KINDS]
    size = (int(results[0]["original_height"]), int(results[0]["original_width"])) if results else None
    return Annotated(str(path), size, tuple(_shape(each, size) for each in results if size), file)


def _shape(written: Mapping[str, Any], size: tuple[int, int]) -> Shape:
    kind, value = written["type"], written["value"]
    name = str(value[kind][0])
    share = np.array(size[::-1]) / 100  # Everything is in percent.
    if kind == "brushlabels":
        return Shape(name, mask=lambda wanted: _brush(value["rle"], size, wanted))
    if kind == "polygonlabels":
        return Shape(name, (np.array(value["points"], np.float64).reshape(-1, 2) * share,))
    x, y = float(value["x"]) * share[0], float(value["y"]) * share[1]
    degrees = float(value.get("rotation") or 0)
    if kind == "ellipselabels":
        ring = polygons.ellipse(x, y, value["radiusX"] * share[0], value["radiusY"] * share[1])
    else:
        ring = polygons.rectangle(x, y, x + value["width"] * share[0], y + value["height"] * share[1])
    return Shape(name, (polygons.turned(ring, degrees, (x, y)),))


def _brush(rle: Sequence[int], size: tuple[int, int], wanted: tuple[int, int]) -> np.ndarray:
    if size != wanted:
        raise ValueError(f"a brush stroke for {size[0]}x{size[1]} in an image of {wanted[0]}x{wanted[1]}")
    return decoded(rle).reshape(*size, 4)[..., 3] > 0


def decoded(rle: Sequence[int]) -> np.ndarray:
    """The bytes in Label Studio's run lengths.

    A stream of bits: 32 of the number of bytes, 5 of their width less one, four times 4 of the width less one of a
    length. Then again and again: 1 whether a run follows, 2 which width its length has, the length less one; and one
    value, or as many as the length says where no run follows.
    """
    bits = "".join(f"{byte:08b}" for byte in rle)
    place = 0

    def number(width: int) -> int:
        nonlocal place
        place += width
        return int(bits[place - width : place], 2)

    count, width = number(32), number(5) + 1
    if count > 4 << 28:
        raise ValueError(f"a brush stroke of {count} bytes")
    widths = [number(4) + 1 for _ in range(4)]
    found = np.zeros(count, np.uint8)
    start = 0
    while start < count:
        is_run, length = number(1), number(widths[number(2)]) + 1
        if is_run:
            found[start : start + length] = number(width)
        else:
            values = [number(width) for _ in range(min(length, count - start))]
            found[start : start + length] = values
        start += length
    return found
