"""What an exported file says is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keras_segnet._compat import litert_schema

CONTENTS = "keras_segnet"
"""Name under which an exported file says what is in it, as JSON: `head`, number of `classes`, `precision`."""


def read_contents(path: Path) -> dict[str, Any]:
    """What a .tflite file of `to_tflite` says of itself; empty for others."""
    file = litert_schema().Model.GetRootAsModel(path.read_bytes(), 0)
    for i in range(file.MetadataLength()):
        if file.Metadata(i).Name().decode() == CONTENTS:
            return dict(json.loads(file.Buffers(file.Metadata(i).Buffer()).DataAsNumpy().tobytes()))
    return {}
