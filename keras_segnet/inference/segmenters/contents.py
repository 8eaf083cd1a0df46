"""What an exported file says is in it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_segnet._compat import litert_schema
from keras_segnet.catalogue import HEADS
from keras_segnet.data.dataset import MOST_CLASSES
from keras_segnet.data.images import MOST_PIXELS

CONTENTS = "keras_segnet"
"""Name under which an exported file says what is in it, as JSON: `head`, number of `classes`, `precision`."""


NOTE = "keras_segnet.json"
"""Name of the file in a SavedModel's folder that says the same, as far as a SavedModel does not."""


def read_contents(path: Path) -> dict[str, Any]:
    """What a .tflite file of `to_tflite` says of itself; empty for others."""
    file = litert_schema().Model.GetRootAsModel(path.read_bytes(), 0)
    for i in range(file.MetadataLength()):
        if file.Metadata(i).Name().decode() == CONTENTS:
            return parse_contents(file.Buffers(file.Metadata(i).Buffer()).DataAsNumpy().tobytes())
    return {}


def parse_contents(text: str | bytes) -> dict[str, Any]:
    """The JSON that a file says of itself.

    Raises:
        ValueError: it is no JSON object, or its `head` or its number of `classes` is none.
    """
    contents = json.loads(text)
    if not isinstance(contents, dict):
        raise ValueError(f"what it says of itself is no JSON object: {str(contents)[:80]}")
    if contents.get("head") not in (None, *HEADS):
        raise ValueError(f"it says that its head is {str(contents['head'])[:80]}, not one of {', '.join(HEADS)}")
    if contents.get("head") == "class_map" and type(contents.get("classes")) is not int:
        raise ValueError("it gives classes, and does not say how many there are")
    return contents


def classes_and_size(
    taken: Sequence[Any] | None, given: Sequence[Any] | None, contents: dict[str, Any]
) -> tuple[int, tuple[int, int] | None]:
    """The number of classes and the input size (None: any) of a network, from the shapes of its input and its output.

    Args:
        taken: shape of the input, `(batch, height, width, 3)`; what is no number is unknown.
        given: shape of the output, `(batch, height, width, classes)`; of a class map, without the last.
        contents: of `parse_contents`.

    Raises:
        ValueError: they are not those of a segmentation network.
    """
    inputs, outputs = _known(taken), _known(given)
    if len(inputs) != 4 or inputs[3] != 3:
        raise ValueError(f"its input has shape {_written(taken)}, not (batch, height, width, 3)")
    is_map = contents.get("head") == "class_map"
    expected = "(batch, height, width)" if is_map else "(batch, height, width, classes)"
    classes = contents["classes"] if is_map else (outputs[3] if len(outputs) == 4 else None)
    if len(outputs) != (3 if is_map else 4) or classes is None:
        raise ValueError(f"its output has shape {_written(given)}, not {expected}")
    if not 2 <= classes <= MOST_CLASSES:
        raise ValueError(f"its output has shape {_written(given)}: {classes} classes, not 2 to {MOST_CLASSES}")
    if any(one != other for one, other in zip(inputs[:3], outputs[:3], strict=True) if one and other):
        raise ValueError(
            f"its input has shape {_written(taken)} and its output {_written(given)}, not a score for each class of "
            "each pixel"
        )
    height, width = inputs[1:3]
    if height is None or width is None:
        return classes, None
    if height * width > MOST_PIXELS:
        raise ValueError(f"its input has shape {_written(taken)}; at most {MOST_PIXELS:,} pixels are read")
    return classes, (height, width)


def _known(shape: Sequence[Any] | None) -> list[int | None]:
    if not isinstance(shape, list | tuple):
        return []
    return [int(n) if str(n).isdecimal() and int(n) > 0 else None for n in shape]


def _written(shape: Sequence[Any] | None) -> str:
    """As Python writes a shape, None for what is unknown."""
    return str(tuple(shape)) if isinstance(shape, list | tuple) else str(shape)
