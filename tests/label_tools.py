"""Small exports of label tools, in their real layout. All show a car and a tree over it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from keras_segnet.data.voc2012 import voc_colours

SIZE = (8, 10)

EXPECTED = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        [0, 1, 1, 2, 2, 2, 0, 0, 0, 0],
        [0, 0, 0, 2, 2, 2, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ],
    np.uint8,
)
"""A car of rows 1 to 3 and columns 1 to 4, and over it a tree of rows 3 and 4 and columns 3 to 5."""

CAR, TREE = [[1, 1], [5, 1], [5, 4], [1, 4]], [[3, 3], [6, 3], [6, 5], [3, 5]]


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def picture(path: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> Path:
    return save(path, np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8))


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def flat(corners: list[list[float]]) -> list[float]:
    return [value for corner in corners for value in corner]


def coco_content(images: list[dict], annotations: list[dict]) -> dict:
    named = [{"id": 7, "name": "tree", "supercategory": ""}, {"id": 3, "name": "car", "supercategory": ""}]
    return {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": named}


def coco_folder(root: Path) -> Path:
    """As CVAT and COCO lay it out: `annotations/instances_default.json` and `images/`."""
    images = [{"id": i, "file_name": f"{i}.png", "height": 8, "width": 10} for i in range(4)]
    annotations = []
    for image in images:
        picture(root / "images" / image["file_name"], image["id"])
        for category, corners in ((3, CAR), (7, TREE)):
            annotations.append({"id": len(annotations), "image_id": image["id"], "category_id": category, "iscrowd": 0,
                                "segmentation": [flat(corners)], "bbox": [0, 0, 0, 0], "area": 0})  # fmt: skip
    write(root / "annotations" / "instances_default.json", coco_content(images, annotations))
    return root


def labelme_folder(root: Path) -> Path:
    """A .json beside each image."""
    for i in range(4):
        picture(root / f"{i}.png", i)
        shapes = [
            {"label": "car", "points": [[5, 4], [1, 1]], "group_id": None, "shape_type": "rectangle", "flags": {}},
            {"label": "tree", "points": TREE, "group_id": None, "shape_type": "polygon", "flags": {}},
            {"label": "car", "points": [[0, 0], [9, 7]], "group_id": None, "shape_type": "line", "flags": {}},
        ]
        write(root / f"{i}.json", {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{i}.png",
                                   "imageData": None, "imageHeight": 8, "imageWidth": 10})  # fmt: skip
    return root


def yolo_folder(root: Path) -> Path:
    """As Ultralytics lays it out; the numbers are shares of width and height."""
    for i in range(4):
        split = "train" if i < 3 else "val"
        picture(root / "images" / split / f"{i}.png", i)
        lines = [[number, *flat([[x / 10, y / 8] for x, y in corners])] for number, corners in ((1, CAR), (0, TREE))]
        write(root / "labels" / split / f"{i}.txt", "\n".join(" ".join(map(str, line)) for line in lines))
    write(root / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnc: 2\nnames:\n  0: tree\n  1: car\n")
    return root


def packed_brush(alpha: np.ndarray) -> list[int]:
    """Label Studio's run lengths of an image whose fourth channel is this: by hand, a run of each value."""
    rgba = np.repeat(alpha[..., None] * 255, 4, axis=-1).astype(np.uint8).ravel()
    widths = (3, 4, 8, 16)
    bits = f"{rgba.size:032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in widths)
    starts = [0, *(np.flatnonzero(np.diff(rgba.astype(int))) + 1).tolist(), rgba.size]
    for number, (start, end) in enumerate(pairwise(starts)):
        if number == 1:  # One run as single values.
            bits += f"0{2:02b}{end - start - 1:08b}" + "".join(f"{value:08b}" for value in rgba[start:end])
        else:
            bits += f"1{3:02b}{end - start - 1:016b}{rgba[start]:08b}"
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def label_studio_folder(root: Path) -> Path:
    tree = np.zeros(SIZE, np.uint8)
    tree[3:5, 3:6] = 1
    tasks = []
    for i in range(4):
        picture(root / "images" / f"photo {i}.png", i)
        size = {"original_width": 10, "original_height": 8, "image_rotation": 0}
        box = {"x": 10, "y": 12.5, "width": 40, "height": 37.5, "rotation": 0, "rectanglelabels": ["car"]}
        brush = {"format": "rle", "rle": packed_brush(tree), "brushlabels": ["tree"]}
        result = [
            {"id": "a", "type": "rectanglelabels", "from_name": "x", "to_name": "y", "value": box, **size},
            {"id": "b", "type": "brushlabels", "from_name": "x", "to_name": "y", "value": brush, **size},
            {"id": "c", "type": "choices", "from_name": "x", "to_name": "y", "value": {"choices": ["good"]}},
        ]
        cancelled = {"id": 1, "was_cancelled": True, "result": []}
        tasks.append({"id": i, "data": {"image": f"/data/upload/1/0a1b2c3{i}-photo%20{i}.png"},
                      "annotations": [cancelled, {"id": 2, "was_cancelled": False, "result": result}]})  # fmt: skip
    write(root / "project-1.json", tasks)
    return root


def cvat_folder(root: Path) -> Path:
    """CVAT for images 1.1; the car is drawn later and lies below."""
    for i in range(4):
        picture(root / "images" / f"{i}.png", i)
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in TREE)
    image = """<image id="{i}" name="{i}.png" width="10" height="8">
        <polygon label="tree" source="manual" occluded="0" points="{points}" z_order="1"></polygon>
        <mask label="car" source="manual" occluded="0" rle="0,4,0,8" left="1" top="1" width="4" height="3" z_order="0"/>
        <polyline label="car" occluded="0" points="0,0;9,7" z_order="5"></polyline></image>"""
    labels = "".join(f"<label><name>{n}</name><color>{c}</color></label>" for n, c in
                     (("tree", "#00ff00"), ("car", "#ff0000")))  # fmt: skip
    images = "".join(image.format(i=i, points=points) for i in range(4))
    write(root / "annotations.xml", f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta>'
                                    f"<job><labels>{labels}</labels></job></meta>{images}</annotations>")  # fmt: skip
    return root


def supervisely_folder(root: Path) -> Path:
    colours = {"tree": "#00FF00", "car": "#FF0000"}
    write(root / "meta.json", {"classes": [{"title": n, "shape": "any", "color": c} for n, c in colours.items()]})
    png = cv2.imencode(".png", np.full((2, 3, 4), 255, np.uint8))[1].tobytes()
    bitmap = {"data": base64.b64encode(zlib.compress(png)).decode(), "origin": [3, 3]}
    for i in range(4):
        picture(root / "ds0" / "img" / f"{i}.png", i)
        hole = {
            "points": {"exterior": [[0, 0], [9, 0], [9, 7], [0, 7]], "interior": [[[0, 0], [9, 0], [9, 7], [0, 7]]]}
        }
        objects = [
            {"classTitle": "tree", "geometryType": "polygon", **hole},
            {"classTitle": "car", "geometryType": "polygon", "points": {"exterior": CAR, "interior": []}},
            {"classTitle": "tree", "geometryType": "bitmap", "bitmap": bitmap},
        ]
        write(root / "ds0" / "ann" / f"{i}.png.json", {"size": {"height": 8, "width": 10}, "objects": objects})
    return root


def cvat_masks(root: Path) -> Path:
    """Segmentation mask 1.1: painted masks and `labelmap.txt`, in the folders of Pascal VOC."""
    colours = np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255)], np.uint8)
    for i in range(4):
        picture(root / "JPEGImages" / f"{i}.png", i)
        save(root / "SegmentationClass" / f"{i}.png", colours[EXPECTED])
    lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", "car:250,50,83::", "tree:51,221,255::"]
    write(root / "labelmap.txt", "\n".join(lines) + "\n")
    write(root / "ImageSets" / "Segmentation" / "default.txt", "0\n1\n2\n3\n")
    return root


def labelme2voc(root: Path) -> Path:
    """Palette images and `class_names.txt`."""
    for i in range(4):
        picture(root / "JPEGImages" / f"{i}.jpg", i)
        image = Image.fromarray(EXPECTED, mode="P")
        image.putpalette([part for colour in voc_colours(256) for part in colour])
        (root / "SegmentationClass").mkdir(exist_ok=True)
        image.save(root / "SegmentationClass" / f"{i}.png")
    write(root / "class_names.txt", "__ignore__\n_background_\ncar\ntree\n")
    return root


TOOLS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "coco": (coco_folder, "coco"), "labelme": (labelme_folder, "labelme"), "yolo": (yolo_folder, "yolo"),
    "label_studio": (label_studio_folder, "label_studio"), "cvat": (cvat_folder, "cvat"),
    "supervisely": (supervisely_folder, "supervisely"), "cvat_masks": (cvat_masks, "label_map"),
    "labelme2voc": (labelme2voc, "label_map"),
}  # fmt: skip
