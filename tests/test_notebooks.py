"""The notebooks run from beginning to end, smaller, and hold pictures of their whole run."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SMALLER = {
    "count=160": "count=24",
    '("train", 120), ("val", 20), ("test", 20)': '("train", 10), ("val", 2), ("test", 10)',
    "(90, 120)": "(32, 48)",
    "width=0.25": "width=0.1",
    "epochs=10": "epochs=1",
    "epochs=12": "epochs=1",
    "samples=50": "samples=2",
    "runs=20": "runs=1",
    '"float16": {}, ': "",
    '("logits", "class_map")': '("class_map",)',
}
"""What stands in the notebooks, and what the tests run instead: each cell as it is, but for its sizes and files."""


def execute():
    spec = importlib.util.spec_from_file_location("execute", ROOT / "notebooks" / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(notebook: Path) -> None:
    execute().run(notebook, SMALLER)


def test_every_size_that_is_made_smaller_is_there() -> None:
    together = "".join(path.read_text(encoding="utf-8").replace('\\"', '"') for path in NOTEBOOKS)
    assert [large for large in SMALLER if large not in together] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_shows_is_kept_in_few_bytes(notebook: Path) -> None:
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    cells = [cell for cell in content.cells if cell.cell_type == "code"]
    kept = [kind for cell in cells for output in cell.outputs for kind in output.get("data", {})]
    assert "image/png" in kept and all(cell.execution_count for cell in cells)
    assert notebook.stat().st_size < 500_000


def test_nothing_that_we_show_trains_with_plain_adamw() -> None:
    pages = (ROOT / "notebooks" / "quickstart.ipynb", ROOT / "README.md")
    assert all("keras_segnet.train(" in page.read_text(encoding="utf-8") for page in pages)
    for page in (*NOTEBOOKS, ROOT / "README.md"):
        text = page.read_text(encoding="utf-8")
        assert "optimizers.AdamW" not in text and '"adamw"' not in text.replace("\\", "")
