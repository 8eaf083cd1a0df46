"""A folder of drawn streets, and one short run on it, shared by the tests of the commands."""

from pathlib import Path

import pytest
from streets_folder import write_streets

from keras_segnet.cli.main import run

TRAIN = ["--model", "segnet_basic", "--width", "0.05", "--input-size", "24x32", "--epochs", "2", "--batch-size", "4"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_streets(tmp_path / "data")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data folder and the folder of a finished run on it."""
    base = tmp_path_factory.mktemp("trained")
    data, output = write_streets(base / "data"), base / "run"
    assert run(["train", "--data", str(data), *TRAIN, "--output", str(output)]) == 0
    return data, output
