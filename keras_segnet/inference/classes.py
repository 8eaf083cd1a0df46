"""Names and colours of the classes that a model file predicts."""

from __future__ import annotations

import json
from pathlib import Path

from keras_segnet.data.camvid import CLASSES as CAMVID
from keras_segnet.data.dataset import Classes
from keras_segnet.data.folder import distinct_colours


def classes_of(model: Path, num_classes: int) -> Classes:
    """The classes of the run whose config.json lies beside the model, if it has as many; else CamVid's where there are
    eleven; else numbered ones in colours that can be told apart."""
    try:
        written = json.loads((model.parent / "config.json").read_text(encoding="utf-8"))["classes"]
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in written["colours"])
        classes = Classes(tuple(map(str, written["names"])), colours, written["ignored"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        classes = None
    if (
        classes is not None
        and len(classes) == num_classes == len(classes.colours)
        and all(0 <= value <= 255 for colour in classes.colours for value in colour)
    ):
        return classes
    if num_classes == len(CAMVID):
        return CAMVID
    return Classes(tuple(f"class {i}" for i in range(num_classes)), distinct_colours(num_classes))
