"""Every reader of files that come from outside: a whole file of each kind, and how it is read.

`trial` damages one and reads it. `test_fuzz.py` does that with some seeds of each reader, `fuzz.py` with as many as
there is time for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import keras
import mutations
import numpy as np
from label_tools import TOOLS

from keras_segnet import build_segnet_basic
from keras_segnet.cli import screen
from keras_segnet.data import Classes, FileDataset, available_splits, folder, open_dataset
from keras_segnet.data.camvid import read_list
from keras_segnet.data.images import read_image, refuse_damaged, write_png
from keras_segnet.errors import InputError
from keras_segnet.exporting import to_onnx, to_tflite
from keras_segnet.inference import load_segmenter
from keras_segnet.inference.classes import classes_of
from keras_segnet.models.vgg16 import _from_npz
from keras_segnet.training.run import Run

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
LABEL = np.tile(np.uint8([[0, 1], [1, 255]]), (12, 16))
IMAGE_FORMATS = (".png", ".jpg", ".webp", ".tif", ".bmp", ".ppm")

CSV = b'name,r,g,b,ignored,value\nroad,128,64,128,,0\n"tree, tall",0,128,0,no,1\nvoid,0,0,0,yes,7\ncar,64,0,128,,2\n'
JSON = json.dumps(
    [{"name": "road", "colour": [128, 64, 128]}, {"name": "car", "colour": "#400080", "ignored": False, "value": 1}]
).encode()
CONFIG = {
    "data": "streets",
    "input_size": [24, 32],
    "scale": [0.75, 1.75],
    "learning_rate": None,
    "epochs": 3,
    "classes": {"names": ["a", "b"], "colours": [[1, 2, 3], [4, 5, 6]], "ignored": 255},
    "training_images": 4,
}
METRICS = (
    b"epoch,learning_rate,loss,val_global_accuracy,val_class_average_accuracy,val_mean_iou\n"
    b"1,0.002,1.5,0.25,0.25,0.125\n2,0.001,1.25,0.5,0.25,0.125\n"
)


@dataclass(frozen=True)
class Reader:
    """One kind of file.

    Attributes:
        file: its name; folders are made.
        whole: its content when nothing is wrong with it.
        read: reads it, in a folder where what it belongs to lies already. Fails if what it read cannot be.
        seeds: how many the test tries: few where one try takes a second.
        refuses: how many of these are refused, at least: a reader that refused none would be none.
        is_text: whether it is damaged in the ways of text too.
    """

    file: str
    whole: Callable[[], bytes]
    read: Callable[[Path], object]
    seeds: int = 60
    refuses: int = 15
    is_text: bool = False


def _encoded(array: np.ndarray, extension: str = ".png") -> bytes:
    return cv2.imencode(extension, array)[1].tobytes()


def _read_image(path: Path) -> None:
    refuse_damaged(path)
    image = read_image(path)
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


def _read_label(path: Path) -> None:
    image = path.with_name("picture.png")
    write_png(image, PICTURE)
    label = FileDataset("few", Classes(("a", "b"), ((0, 0, 0), (9, 9, 9)), 255), ((image, path),)).check(0).label
    assert label.dtype == np.uint8 and set(np.unique(label).tolist()) <= {0, 1, 255}


def _read_pairs(path: Path) -> None:
    for name in ("one.png", "two.png"):
        write_png(path.parent / name, PICTURE)
    assert all(file.is_file() for pair in read_list(path) for file in pair)


def _read_folder(path: Path) -> None:
    """A folder of one's own in which the list is the file that is damaged."""
    root = path.parent
    for part, array in (("images", PICTURE), ("labels", PICTURE[..., 0] % 2)):
        (root / part).mkdir(exist_ok=True)
        for name in ("street_0", "street_1"):
            write_png(root / part / f"{name}.png", array)
    if path.name != "train.txt":
        (root / "train.txt").write_text("street_0\n")
    data = folder(root, "train")
    assert {data.item_name(i) for i in range(len(data))} <= {"street_0", "street_1"}
    assert len(data.classes) == len(data.classes.colours) >= 2
    shown = "".join(data.classes.names)
    shown.encode()
    with screen.console.capture() as captured:
        screen.say(shown)
    assert captured.get() == shown + "\n"


def _read_config(path: Path) -> None:
    assert len(classes_of(path.with_name("model.keras"), 2)) == 2  # Never an error: a model may lie anywhere.
    config = Run(path.parent).config()
    assert config.epochs >= 1 and min(config.input_size) >= 1


def _label_something(path: Path) -> None:
    label = load_segmenter(path).label(PICTURE)
    assert label.shape == PICTURE.shape[:2] and label.dtype == np.uint8


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **{"block1_conv1/kernel": np.eye(9), "block1_conv1/bias": np.arange(300)})
    return file.getvalue()


@cache
def _network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_segnet_basic(3, (16, 24, 3), width=0.05)


@cache
def _exported(kind: str) -> bytes:
    with TemporaryDirectory() as place:
        path = Path(place) / f"model.{kind}"
        {"keras": lambda: _network().save(path), "tflite": lambda: to_tflite(_network(), path),
         "onnx": lambda: to_onnx(_network(), path)}[kind]()  # fmt: skip
        return path.read_bytes()


EXPORTS = {
    "coco": "annotations/instances_default.json", "labelme": "0.json", "yolo": "data.yaml",
    "yolo label": "labels/train/0.txt", "label_studio": "project-1.json", "cvat": "annotations.xml",
    "supervisely": "ds0/ann/0.png.json", "supervisely meta": "meta.json", "cvat_masks": "labelmap.txt",
    "labelme2voc": "class_names.txt",
}  # fmt: skip
"""A file of each label tool's export."""


@cache
def _export(name: str) -> bytes:
    with TemporaryDirectory() as place:
        return (TOOLS[name.split()[0]][0](Path(place)) / EXPORTS[name]).read_bytes()


def _read_export(name: str, path: Path) -> None:
    """Opens the rest of an export around the file that is damaged, and looks at two images."""
    content, tool = path.read_bytes(), name.split()[0]
    root = path.parents[EXPORTS[name].count("/")]
    make, kind = TOOLS[tool]
    make(root)
    path.write_bytes(content)
    for split in available_splits(f"{kind}:{root}")[:1]:
        dataset = open_dataset(f"{kind}:{root}", split)
        assert len(dataset.classes) >= 1
        for index in range(min(2, len(dataset))):
            image, label = dataset.check(index)
            assert image.shape[:2] == label.shape and label.dtype == np.uint8


def _tool(name: str) -> Reader:
    return Reader(EXPORTS[name], lambda: _export(name), lambda path: _read_export(name, path), 24, 3, is_text=True)


def _model(kind: str, seeds: int, refuses: int) -> Reader:
    return Reader(f"model.{kind}", lambda: _exported(kind), _label_something, seeds, refuses)


READERS = {
    **{f"image{end}": Reader(f"x{end}", lambda end=end: _encoded(PICTURE, end), _read_image, 35, 10)
       for end in IMAGE_FORMATS},
    "label": Reader("label.png", lambda: _encoded(LABEL), _read_label, 42, 30),
    "pairs": Reader("list.txt", lambda: b"/there/one.png /there/two.png\nsub/../two.png one.png\n" * 3, _read_pairs,
                    is_text=True),
    "split": Reader("train.txt", lambda: b"street_0.png\nstreet_1\n", _read_folder, is_text=True),
    "classes.txt": Reader("classes.txt", lambda: "sky\nnaïve road\ncar\n".encode(), _read_folder, 48, 5, is_text=True),
    "classes.csv": Reader("classes.csv", lambda: CSV, _read_folder, 120, 40, is_text=True),
    "classes.json": Reader("classes.json", lambda: JSON, _read_folder, 120, 40, is_text=True),
    "config.json": Reader("config.json", lambda: json.dumps(CONFIG).encode(), _read_config, 120, 40, is_text=True),
    "metrics.csv": Reader("metrics.csv", lambda: METRICS, lambda path: Run(path.parent).rows(), 120, 40, is_text=True),
    **{name: _tool(name) for name in EXPORTS},
    "npz": Reader("weights.npz", _npz, _from_npz, 140, 60),
    "keras": _model("keras", 14, 8),
    "tflite": _model("tflite", 7, 3),
    "onnx": _model("onnx", 28, 6),
}  # fmt: skip


def read(reader: Reader, folder: Path, content: bytes) -> str | None:
    """Reads a file of this content: the line that refuses it, or None where it was read.

    Any error but an `InputError` goes on up, and so does a line that does not name the file or its folder, or that is
    no line.
    """
    path = folder / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        reader.read(path)
    except InputError as error:
        line = str(error)
        assert str(folder) in line, line
        assert len(line) < 1000 + 3 * len(str(folder)), line[:2000]
        return line
    return None


def trial(reader: Reader, folder: Path, seed: int) -> str | None:
    """Reads a whole file damaged by a seed; see `read`."""
    ways = mutations.TEXT_WAYS if reader.is_text else mutations.WAYS
    return read(reader, folder, mutations.damaged(reader.whole(), seed, ways))
