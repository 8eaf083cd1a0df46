"""README.md and docs/ say what is so: figures, links, pictures, commands and code."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer

import keras_segnet
from keras_segnet.cli.main import app

ROOT = Path(keras_segnet.__file__).parents[1]
FOLDERS = ("docs", "export", "benchmarks")
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *(page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md"))),
]


def names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Where dataclasses look for it.
    spec.loader.exec_module(module)
    return module


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_results_are_those_that_are_stored() -> None:
    rows = load("benchmarks/camvid/runs.py").ROWS
    stored = {"`segnet_edge`": "segnet_edge", "`segnet_basic`": "segnet_basic_modern"}
    stored["`segnet`, a quarter of the width"] = "segnet_quarter"
    published = {"SegNet, as published (Table 3)": "segnet", "SegNet-Basic, as published (Table 1)": "segnet_basic"}
    table = (ROOT / "README.md").read_text().partition("| network |")[2].partition("\n\n")[0].splitlines()[2:]
    assert len(table) == len(stored) + len(published) <= 6
    for name, images, *scores in map(cells, table):
        name = re.sub(r"\[(.*)\]\(.*\)", r"\1", name)
        if name in published:
            shown, _, where = rows[published.pop(name)].published.partition(" (")
            assert scores == shown.split(" / ")
            assert images == ("3,433" if "3,433" in where else "367")
        else:
            found = json.loads((ROOT / "benchmarks" / "camvid" / stored.pop(name) / "scores.json").read_text())
            expected = [found[key] for key in ("global_accuracy", "class_average_accuracy", "mean_iou")]
            expected.append(found["boundary_f1"]["released"])
            assert scores == ["-" if score is None else f"{100 * score:.2f}" for score in expected]


def test_the_drawing_of_indices_is_what_the_layers_compute() -> None:
    drawing = load("docs/draw_pictures.py")
    assert (ROOT / "docs" / "pictures" / "indices.svg").read_text() == drawing.indices_drawing(), (
        "draw it again: .venv/bin/python docs/draw_pictures.py indices"
    )
    pooled, indices, unpooled = drawing.pooled_and_unpooled(drawing.FEATURE_MAP)
    np.testing.assert_array_equal(pooled, [[7, 6], [2, 9]])
    np.testing.assert_array_equal(indices, [[1, 2], [0, 0]])
    np.testing.assert_array_equal(unpooled, [[0, 7, 0, 0], [0, 0, 6, 0], [2, 0, 9, 0], [0, 0, 0, 0]])


def test_the_streets_are_those_of_the_quickstart() -> None:
    drawing = load("docs/draw_pictures.py")
    assert (ROOT / "docs" / "pictures" / "streets.png").read_bytes() == drawing.labelled_streets(), (
        "take them again: .venv/bin/python docs/draw_pictures.py streets"
    )


def anchors(page: Path) -> set[str]:
    """What headings of a page are linked by."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}"


def commands(page: Path) -> Iterator[str]:
    """What stands behind `keras-segnet` in the blocks of a page, and in its continued lines."""
    blocks = re.findall(r"^(?: {4}.*\n)+", page.read_text(), re.MULTILINE)
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        # What a shell would put there before the command sees it.
        line = re.sub(r"\$\([^)]*\)|\$\w+", "1", line).split(" > ")[0]
        yield from re.findall(r"\bkeras-segnet ([a-z][^'`]*)", line.split("  #")[0])


WITH_COMMANDS = [page for page in PAGES if any(commands(page))]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=names(WITH_COMMANDS))
def test_the_command_line_takes_every_command(page: Path) -> None:
    for line in commands(page):
        command: Any = typer.main.get_command(app)
        words = shlex.split(line)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        try:
            command.make_context(command.name, words)
        except Exception as error:
            raise AssertionError(f"keras-segnet {line}: {error}") from error
