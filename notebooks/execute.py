"""Runs notebooks from beginning to end, and keeps what they show.

    .venv/bin/python notebooks/execute.py notebooks/quickstart.ipynb     # minutes; the tests run smaller ones

Pictures are kept in 128 colours, and messages of the frameworks are not kept.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import typer
from nbclient import NotebookClient
from PIL import Image


def run(notebook: Path, smaller: Mapping[str, str] | None = None) -> Any:
    """A notebook with what its cells give, run in a process of its own.

    Args:
        notebook: path of the file, which stays as it is.
        smaller: what stands in cells, and what takes its place, to take less time.
    """
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        if cell.cell_type == "code":
            for large, small in (smaller or {}).items():
                cell.source = cell.source.replace(large, small)
    where = {"metadata": {"path": str(notebook.parent)}}
    return NotebookClient(content, timeout=900, record_timing=False, coalesce_streams=True, resources=where).execute()


def keep(notebook: Path) -> None:
    """Runs a notebook and writes what it shows into its file."""
    content = run(notebook)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = of_few_bytes(output.data["image/png"])
    nbformat.write(content, notebook)


def of_few_bytes(png: str) -> str:
    """The picture in 128 colours; both in base64."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(128)
    written = io.BytesIO()
    picture.save(written, "png", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


def main(notebooks: list[Path]) -> None:
    """Runs notebooks and writes what they show into their files."""
    for notebook in notebooks:
        keep(notebook)


if __name__ == "__main__":
    typer.run(main)
