"""CVAT's own XML, "CVAT for images": `image` elements with polygons, boxes, ellipses and masks.

Shapes are drawn by `z_order`, then in the file's order. Lines and points have no area and are left out. CVAT's COCO and
YOLO exports are read as COCO and YOLO, its segmentation masks as `keras_segnet.data.tools.label_map`.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, XMLParser

import numpy as np

from keras_segnet.data import polygons
from keras_segnet.data.annotations import SPLIT_NAMES, Annotated, Annotations, Shape
from keras_segnet.data.tools import label_tool
from keras_segnet.files import reading


def find(path: Path) -> list[Path]:
    """The .xml at a path: itself, or in the folder."""
    files = [path] if path.is_file() else sorted(path.glob("*.xml"))
    return [file for file in files if file.suffix.lower() == ".xml" and _is_one(file)]


def _is_one(file: Path) -> bool:
    content = file.read_bytes()
    return b"<annotations" in content[:1000] and b"<image " in content


@label_tool("cvat", find, holds="annotations.xml of CVAT")
def read(path: Path) -> Annotations:
    """Reads an export; raises an `InputError` if it is none."""
    items: list[Annotated] = []
    colours: dict[str, tuple[int, int, int]] = {}
    for file in find(path):
        with reading(file, "is no export of CVAT"):
            root = _parse(file.read_bytes())
            for label in root.iter("label"):
                colours[label.findtext("name", "")] = _colour(label.findtext("color") or "#000000")
            items += [_image(file, element) for element in root.iter("image")]
    names = tuple(name for name in colours if name)
    return Annotations(tuple(items), names, {name: colours[name] for name in names if any(colours[name])})


def _parse(content: bytes) -> Element:
    # Entities can grow a file of a few bytes without end; CVAT writes none.
    if b"<!ENTITY" in content:
        raise ParseError("it declares entities")
    parser = XMLParser()
    parser.feed(content)
    root: Element = parser.close()
    return root


def _colour(written: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(written.lstrip("#"))
    return red, green, blue


def _image(file: Path, element: Element) -> Annotated:
    size = (int(element.attrib["height"]), int(element.attrib["width"]))
    drawn = sorted((each for each in element if "label" in each.attrib), key=lambda each: int(each.get("z_order") or 0))
    shapes = tuple(shape for each in drawn if (shape := _shape(each)) is not None)
    return Annotated(element.attrib["name"], size, shapes, file, SPLIT_NAMES.get((element.get("subset") or "").lower()))


def _shape(element: Element) -> Shape | None:
    name = element.attrib["label"]

    def number(key: str) -> float:
        return float(element.attrib[key])

    if element.tag == "polygon":
        corners = [[float(part) for part in corner.split(",")] for corner in element.attrib["points"].split(";")]
        return Shape(name, (np.array(corners),))
    if element.tag == "mask":
        runs = [int(part) for part in element.attrib["rle"].split(",")]
        box = [int(number(key)) for key in ("left", "top", "width", "height")]
        return Shape(name, mask=lambda size: _mask(runs, box, size))
    if element.tag == "box":
        ring = polygons.rectangle(number("xtl"), number("ytl"), number("xbr"), number("ybr"))
    elif element.tag == "ellipse":
        ring = polygons.ellipse(number("cx"), number("cy"), number("rx"), number("ry"))
    else:
        return None
    low, high = ring.min(axis=0), ring.max(axis=0)
    centre = (float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2)
    return Shape(name, (polygons.turned(ring, float(element.get("rotation") or 0), centre),))


def _mask(runs: list[int], box: list[int], size: tuple[int, int]) -> np.ndarray:
    """Runs along the rows of a box, the first outside, in an image of some size."""
    left, top, width, height = box
    inside = polygons.from_runs(runs, (height, width))
    mask = np.zeros(size, bool)
    room = mask[top : top + height, left : left + width]
    room[:] = inside[: room.shape[0], : room.shape[1]]
    return mask
