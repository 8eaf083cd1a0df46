"""Examples in docstrings give what stands below them."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_segnet

PACKAGE = Path(keras_segnet.__file__).parent
MODULES = [
    ".".join((PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    known = {"np": np, "keras": keras, "keras_segnet": keras_segnet}
    if name == "keras_segnet.optimizers":
        known |= {
            "training": keras_segnet.data.street_scenes("train", count=2, size=(8, 8)),
            "model": keras_segnet.build_segnet_basic(width=0.05),
            "epochs": 2,
            "batch_size": 1,
        }
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs=known, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0
