"""What a release says of itself is said once, or alike."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import keras_segnet

ROOT = Path(keras_segnet.__file__).parents[1]


def test_the_version_is_one() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert setup["metadata"]["version"] == "attr: keras_segnet.__version__"
    assert f"\nversion: {keras_segnet.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    (newest, *_) = re.findall(r"^## ([\d.]+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest == keras_segnet.__version__


@pytest.mark.parametrize(
    ("file", "section", "without"),
    [
        ("requirements.txt", "dev", ()),
        ("requirements-jax.txt", "jax", ("tensorflow", "ai-edge-litert", "flatbuffers")),
        ("requirements-torch.txt", "torch", ("tensorflow", "ai-edge-litert", "flatbuffers")),
    ],
)
def test_each_environment_has_what_the_library_requires(file: str, section: str, without: tuple[str, ...]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options"]["install_requires"] + setup["options.extras_require"][section]
    pinned: dict[str, set[str]] = {}
    for line in (ROOT / file).read_text().splitlines():
        if not line.startswith("#"):
            pin = Requirement(line)
            pinned.setdefault(canonicalize_name(pin.name), set()).add(str(pin.specifier).removeprefix("=="))
    for each in (Requirement(line) for line in required.strip().splitlines()):
        if each.name not in without:
            found = pinned.get(canonicalize_name(each.name), set())
            assert found and all(map(each.specifier.contains, found)), f"{file} has no {each}"


def test_what_tests_need_is_pinned() -> None:
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text().splitlines():
            # The last releases of tensorflow-addons go with any NumPy 1.
            assert line.startswith("#") or "==" in line or line == "numpy<2", f"{path.name}: {line}"
