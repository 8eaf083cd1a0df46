"""LabelMe: a .json beside each image, with `shapes` and `imagePath`.

Shapes are drawn in the file's order. Lines and points have no area and are left out.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keras_segnet.data import polygons
from keras_segnet.data.annotations import Annotated, Annotations, Shape
from keras_segnet.data.tools import label_tool
from keras_segnet.files import read_json, reading


def find(path: Path) -> list[Path]:
    """The files of an export at a path: itself, or those below the folder."""
    files = [path] if path.is_file() else sorted(path.rglob("*.json"))
    return [file for file in files if file.suffix.lower() == ".json" and _is_one(file)]


def _is_one(file: Path) -> bool:
    # The pixels of the image, which a file may hold too, come behind the shapes or before the path.
    content = file.read_bytes()
    return content.lstrip()[:1] == b"{" and b'"shapes"' in content and b'"imagePath"' in content


@label_tool("labelme", find, holds="a LabelMe .json beside each image", turn=4)
def read(path: Path) -> Annotations:
    """Reads an export; raises an `InputError` if it is none."""
    return Annotations(tuple(_image(file) for file in find(path)))


def _image(file: Path) -> Annotated:
    content = read_json(file, "a file of LabelMe")
    with reading(file, "is no file of LabelMe"):
        height, width = content.get("imageHeight"), content.get("imageWidth")
        size = (int(height), int(width)) if height and width else None
        shapes = tuple(shape for each in content["shapes"] if (shape := _shape(each)) is not None)
        # A path from the file on; the image lies beside it unless the path says otherwise.
        return Annotated(str(file.parent / content["imagePath"].replace("\\", "/")), size, shapes, file)


def _shape(written: Mapping[str, Any]) -> Shape | None:
    name, points = str(written["label"]), np.array(written["points"], np.float64).reshape(-1, 2)
    kind = written.get("shape_type") or "polygon"
    if kind == "polygon" and len(points) > 2:
        return Shape(name, (points,))
    if kind == "rectangle":
        return Shape(name, (polygons.rectangle(*points.min(axis=0), *points.max(axis=0)),))
    if kind == "circle":
        radius = math.dist(points[0], points[1])
        return Shape(name, (polygons.ellipse(points[0][0], points[0][1], radius, radius),))
    if kind == "mask":
        return Shape(name, mask=lambda size: _mask(written["mask"], points.min(axis=0), size))
    return None


def _mask(written: str, corner: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A PNG of what lies in the box, whose first corner says where that is."""
    part = cv2.imdecode(np.frombuffer(base64.b64decode(written), np.uint8), cv2.IMREAD_GRAYSCALE)
    if part is None:
        raise ValueError("its mask is no image")
    left, top = (max(0, int(value)) for value in corner)
    mask = np.zeros(size, bool)
    room = mask[top : top + part.shape[0], left : left + part.shape[1]]
    room[:] = part[: room.shape[0], : room.shape[1]] > 0
    return mask
