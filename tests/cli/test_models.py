"""`keras-segnet models`, and the page that it writes."""

from pathlib import Path

import pytest

from keras_segnet.models import NETWORKS
from keras_segnet_cli.main import run

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


def test_every_network_is_listed_with_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    lines = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines()]
    figures = {cells[1]: cells[2:6] for cells in lines if len(cells) == 7}
    assert [name for name in figures if name in NETWORKS] == list(NETWORKS)
    assert figures["segnet_basic"] == ["1.417", "1.425", "59.19", "106x106"]


def test_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(), (
        "make it again: keras-segnet models --markdown > docs/networks.md"
    )
