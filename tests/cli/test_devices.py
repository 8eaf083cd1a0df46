"""Two devices of one machine train to what one does."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import forked
import keras
import pytest
from streets_folder import write_streets

SETTINGS = "--model tiny_without_dropout --input-size 24x32 --epochs 2 --batch-size 4 --seed 3 --optimizer adamw"


def train(data: Path, output: Path, *more: str, devices: bool) -> tuple[int, list[str]]:
    said = output.with_name(f"{output.name}.said")
    arguments = ["train", "--data", str(data), *SETTINGS.split(), "--output", str(output), *more]
    process = forked.start(arguments, said, forked.make_two_devices if devices else None)
    process.join()
    return process.exitcode, said.read_text().splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("devices")
    # 17 images make 3 to validate on: on two devices, one of the second batch is made up.
    write_streets(folder / "data", 17)
    for name, more in (("one", []), ("two", ["--devices", "2"])):
        status, said = train(folder / "data", folder / name, *more, devices=name == "two")
        assert status == 0, said
    return folder


def rows(folder: Path) -> list[dict[str, float]]:
    return [
        {key: float(value) for key, value in row.items()} for row in csv.DictReader((folder / "metrics.csv").open())
    ]


def test_two_devices_train_to_what_one_does(folder: Path) -> None:
    one, two = rows(folder / "one"), rows(folder / "two")
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        for key in a:
            assert a[key] == pytest.approx(b[key], rel=2e-3, abs=2e-3), key


def test_a_file_of_two_devices_is_like_any_other(folder: Path) -> None:
    configs = []
    for name in ("one", "two"):
        model = keras.models.load_model(folder / name / "checkpoint.keras")
        assert model.optimizer.iterations == 2 * 3
        configs.append(json.loads(model.to_json()))
    assert configs[0] == configs[1]


def test_more_devices_than_there_are(folder: Path, tmp_path: Path) -> None:
    status, said = train(folder / "data", tmp_path / "run", "--devices", "3", devices=True)
    assert status == 2
    assert said[-1] == "keras-segnet: --devices 3: must be 'all' or 1 to 2, as many as there are here."
    status, said = train(folder / "data", tmp_path / "run", "--devices", "2", "--batch-size", "3", devices=True)
    assert status == 2
    assert said[-1] == "keras-segnet: --batch-size 3 must be a multiple of the 2 devices."
    assert not (tmp_path / "run").exists()
