"""Uses the library where it is installed, without anything of the checkout. Run by `make test-package`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

import cv2

import keras_segnet
from keras_segnet.streets import draw_street_scene

PACKAGE = Path(keras_segnet.__file__).parent
COMMAND = Path(sys.executable).with_name("keras-segnet")


def main() -> None:
    assert Path(sys.prefix) in PACKAGE.parents, f"{PACKAGE} is not of this environment"
    found = distribution("keras-segnet")
    assert found.version == keras_segnet.__version__
    assert found.metadata["Description-Content-Type"] == "text/markdown"
    written = Path(__file__).parents[1] / "keras_segnet"
    for path in written.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert (PACKAGE / path.relative_to(written)).is_file(), f"{path} was not packed"
    assert (PACKAGE / "py.typed").is_file()
    said = subprocess.run([COMMAND, "--version"], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == (f"keras-segnet {keras_segnet.__version__}\n", "")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        cv2.imwrite("street.png", draw_street_scene(0, (90, 120))[0][..., ::-1])
        subprocess.run([COMMAND, "predict", "segnet_edge", "street.png"], check=True)
        assert cv2.imread("labelled/street_overlay.png").shape == (90, 120, 3)


main()
