"""Names and colours of the classes that a model file predicts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_segnet.catalogue import is_trained_network
from keras_segnet.colours import distinct_colours
from keras_segnet.data.camvid import CLASSES as CAMVID
from keras_segnet.data.dataset import Classes
from keras_segnet.inference.segmenters import read_contents


def classes_of(model: Path, num_classes: int) -> Classes:
    """The classes that are written down for a model, or numbered ones in colours that can be told apart.

    `written_classes_of` says where they are written.
    """
    written = written_classes_of(model, num_classes)
    return written or Classes(tuple(f"class {i}" for i in range(num_classes)), distinct_colours(num_classes))


def written_classes_of(model: Path, num_classes: int) -> Classes | None:
    """The classes that are written down for a model.

    A .tflite file names them itself; else they are those of the run whose config.json lies beside the model, or
    CamVid's for the name of a network of which the package has weights. None where none of these names as many as
    `num_classes`.
    """
    found: list[Classes | None] = [CAMVID] if is_trained_network(model) else []
    if model.suffix == ".tflite" and model.is_file():
        found.append(_parse(read_contents(model)))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        found.append(_parse(json.loads((model.parent / "config.json").read_text(encoding="utf-8"))["classes"]))
    return next((classes for classes in found if classes is not None and len(classes) == num_classes), None)


def _parse(written: Mapping[str, Any]) -> Classes | None:
    try:
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in written["colours"])
        classes = Classes(tuple(map(str, written["names"])), colours, written["ignored"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    fit = len(classes) == len(colours) and all(0 <= value <= 255 for colour in colours for value in colour)
    return classes if fit else None
