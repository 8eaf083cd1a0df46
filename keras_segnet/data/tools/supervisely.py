"""Supervisely: `meta.json` with the classes, and in each data set `ann/IMAGE.json` beside `img/IMAGE`.

Objects are drawn in the file's order.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from keras_segnet.data import polygons
from keras_segnet.data.annotations import SPLIT_NAMES, Annotated, Annotations, Shape
from keras_segnet.data.tools import label_tool
from keras_segnet.files import read_json, reading

MOST_BYTES = 1 << 28
"""Largest size of an unpacked bitmap."""


def find(path: Path) -> list[Path]:
    """The annotations of all data sets below a folder that holds `meta.json`."""
    if not (path.is_dir() and (path / "meta.json").is_file()):
        return []
    return sorted(file for file in path.rglob("*.json") if file.parent.name == "ann")


@label_tool("supervisely", find, holds="meta.json, and ann/ and img/ of Supervisely")
def read(path: Path) -> Annotations:
    """Reads an export; raises an `InputError` if it is none."""
    meta = path / "meta.json"
    content = read_json(meta, "the meta.json of Supervisely")
    with reading(meta, "is no meta.json of Supervisely"):
        colours = {str(each["title"]): _colour(each.get("color", "#000000")) for each in content["classes"]}
    return Annotations(tuple(_image(file) for file in find(path)), tuple(colours), colours)


def _colour(written: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(written.lstrip("#"))
    return red, green, blue


def _image(file: Path) -> Annotated:
    content = read_json(file, "annotations of Supervisely")
    with reading(file, "holds no annotations of Supervisely"):
        size = (int(content["size"]["height"]), int(content["size"]["width"]))
        shapes = tuple(shape for each in content["objects"] if (shape := _shape(each)) is not None)
        folder = file.parent.parent
        split = SPLIT_NAMES.get(folder.name.lower())
        return Annotated((folder / "img" / file.name.removesuffix(".json")).as_posix(), size, shapes, file, split)


def _shape(written: Mapping[str, Any]) -> Shape | None:
    name, kind = str(written["classTitle"]), written.get("geometryType")
    if kind == "bitmap":
        return Shape(name, mask=lambda size: _bitmap(written["bitmap"], size))
    if kind not in ("polygon", "rectangle"):
        return None
    exterior = np.array(written["points"]["exterior"], np.float64).reshape(-1, 2)
    if kind == "rectangle":
        exterior = polygons.rectangle(*exterior.min(axis=0), *exterior.max(axis=0))
    holes = (np.array(hole, np.float64).reshape(-1, 2) for hole in written["points"].get("interior", ()))
    return Shape(name, (exterior, *holes))


def _bitmap(written: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    """A packed PNG, whose alpha, or whose colour, says what belongs to it, and where its first corner lies."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(base64.b64decode(written["data"]), MOST_BYTES)
    part = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if part is None:
        raise ValueError("its bitmap is no image")
    channels = np.atleast_3d(part)
    inside = np.max(channels[..., 3 if channels.shape[2] == 4 else 0 :], axis=2) > 0
    left, top = (max(0, int(value)) for value in written["origin"])
    mask = np.zeros(size, bool)
    room = mask[top : top + inside.shape[0], left : left + inside.shape[1]]
    room[:] = inside[: room.shape[0], : room.shape[1]]
    return mask
