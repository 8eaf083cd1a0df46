"""What a release says of itself is said once, or alike."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import keras_segnet

ROOT = Path(keras_segnet.__file__).parents[1]


def test_the_version_is_one() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["version"] == "attr: keras_segnet.__version__"
    assert f"\nversion: {keras_segnet.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    (newest, *_) = re.findall(r"^## ([\d.]+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest == keras_segnet.__version__


def test_what_tests_need_is_pinned() -> None:
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text().splitlines():
            # The last releases of tensorflow-addons go with any NumPy 1.
            assert line.startswith("#") or "==" in line or line == "numpy<2", f"{path.name}: {line}"
