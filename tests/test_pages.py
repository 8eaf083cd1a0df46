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

import cv2
import numpy as np
import pytest
import typer
from PIL import Image

import keras_segnet
from keras_segnet.cli.main import app
from keras_segnet.training.configuration import RunConfig

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


@pytest.mark.parametrize("network", ["segnet_edge", "segnet_basic"])
def test_the_streets_of_a_card_are_what_the_network_makes_of_them(network: str) -> None:
    drawing = load("docs/draw_pictures.py")
    again, shares = drawing.labelled_by(network)
    path = ROOT / "docs" / "pictures" / f"{network}_camvid.png"
    kept = np.asarray(Image.open(path).convert("RGB")).astype(int)
    # Other processors round otherwise, and 128 colours are not all.
    far = (np.abs(kept - again) > 40).any(-1)
    assert far.mean() < 0.01, "draw it again: .venv/bin/python docs/draw_pictures.py cards"
    assert path.stat().st_size <= 150_000
    card = (ROOT / "docs" / "weights" / f"{network}_camvid.md").read_text()
    assert f"(../pictures/{path.name})" in card
    table = card.partition("| row | right, % |")[2].splitlines()[2 : 2 + len(shares)]
    np.testing.assert_allclose([float(cells(line)[1]) for line in table], 100 * np.array(shares), atol=0.3)


CARDS = sorted((ROOT / "docs" / "weights").glob("*.md"))


@pytest.mark.parametrize("card", CARDS, ids=names(CARDS))
def test_cards_of_weights_have_one_form(card: Path) -> None:
    text = card.read_text()
    table = text.partition("|---|---|\n")[2].partition("\n\n")[0].splitlines()
    rows = [cells(line)[0] for line in table]
    assert [row for row in rows if row not in ("classes", "input")] == [
        "for", "not for", "network", "data", "licence", "file"
    ]  # fmt: skip
    assert re.findall("^## (.*)$", text, re.MULTILINE) == ["How it was trained", "What it reaches", "What it is bad at"]


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


NOT_RUN_HERE = re.compile(r"<!-- (?:not run:|run by) .+? -->\s*\Z", re.DOTALL)


def programs(page: Path) -> Iterator[str]:
    """The Python of a page that is to be run here; in front of other Python stands why it is not, or what runs it."""
    parts = re.split(r"^```python\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for before, program in zip(parts[::2], parts[1::2], strict=False):
        if not NOT_RUN_HERE.search(before):
            yield program


SMALLER = {"(360, 480": "(32, 40", "epochs = 50": "epochs = 1", '"segnet_edge"': '"segnet_basic"'}
"""What is replaced in the programs so that they take no time."""

WITH_PROGRAMS = [page for page in PAGES if any(programs(page))]


@pytest.fixture
def my_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the programs of the pages find around them, small: images, a way to train in no time, a feature map."""
    monkeypatch.chdir(tmp_path)
    streets = {split: keras_segnet.data.street_scenes(split, 2, (32, 40)) for split in ("train", "val", "test")}
    keras_segnet.data.write_folder("my_images", streets)
    Path("new_images").mkdir()
    cv2.imwrite("new_images/street.png", streets["test"][0].image[..., ::-1])

    class Run:
        def model(self) -> Any:
            return keras_segnet.build_segnet_basic(11, (24, 32, 3), width=0.05)

    def train(data: str, *, output: str, **settings: Any) -> Run:
        RunConfig.of(data=data, **settings)
        return Run()

    monkeypatch.setattr(keras_segnet, "train", train, raising=False)


@pytest.mark.parametrize("page", WITH_PROGRAMS, ids=names(WITH_PROGRAMS))
def test_the_python_of_a_page_runs(page: Path, my_images: None) -> None:
    """One program after the other, in one session, as a reader would; smaller, and what trains is not compiled."""
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(1, 6, 8, 2)).astype("float32")
    updates, mask = tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")
    session: dict[str, Any] = {"keras_segnet": keras_segnet, "x": x, "updates": updates, "mask": mask}
    try:
        for program in programs(page):
            tf.config.run_functions_eagerly("model.fit(" in program)
            for large, small in SMALLER.items():
                program = program.replace(large, small)
            exec(compile(program, page.name, "exec"), session)
    finally:
        tf.config.run_functions_eagerly(False)
