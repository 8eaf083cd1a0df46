"""The notebooks run from beginning to end in a process of their own, as a reader would run them."""

import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(notebook: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbmake",
            "--nbmake-timeout=900",
            "-q",
            "-p",
            "no:cacheprovider",
            str(notebook),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_nothing_that_we_show_trains_with_plain_adamw() -> None:
    for page in (*NOTEBOOKS, NOTEBOOKS[0].parents[1] / "README.md"):
        text = page.read_text(encoding="utf-8")
        assert "keras_segnet.train(" in text
        assert "optimizers.AdamW" not in text and '"adamw"' not in text.replace("\\", "")
