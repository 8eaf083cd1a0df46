"""Two processes, as on two machines, train to what one does; if one is lost, the other ends and the run goes on."""

import csv
import itertools
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from polling import wait_until

from keras_segnet.data import street_scenes, write_folder

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="several machines train with JAX")

HERE = Path(__file__).parent
SETTINGS = {
    "--model": "tiny_without_dropout",
    "--input-size": "24x32",
    "--batch-size": "4",
    "--seed": "3",
    "--optimizer": "adamw",
    "--ema-momentum": "0.9",
}
RUNS = ("one", "two")


@pytest.fixture
def start():
    """Starts `keras-segnet train`; what still runs after the test is ended."""
    started = []

    def begin(data, output, *more):
        command = [sys.executable, str(HERE / "tiny_command_line.py"), "train", "--data", str(data)]
        # One device in each process, however many the environment of the tests asks for.
        path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [*command, "--output", str(output), *itertools.chain(*SETTINGS.items()), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "PYTHONPATH": path},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def start_two(start, data, output, *more):
    with socket.create_server(("localhost", 0)) as server:
        port = server.getsockname()[1]
    together = ["--coordinator", f"localhost:{port}", "--processes", "2", "--process"]
    return [start(data, output, *more, *together, str(number)) for number in range(2)]


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes") / "data"
    # 5 images to validate on: the second batch has one, and another is made up.
    splits = {"train": (8, 0), "val": (5, 1), "test": (1, 2)}
    write_folder(folder, {split: street_scenes(split, n, (48, 64), seed) for split, (n, seed) in splits.items()})
    return folder


def test_two_processes_train_to_what_one_does(start, data, tmp_path):
    started = [
        start(data, tmp_path / "one", "--epochs", "2"),
        *start_two(start, data, tmp_path / "two", "--epochs", "2"),
    ]
    for process in started:
        _, said = process.communicate()
        assert process.returncode == 0, said
    names = [{path.relative_to(tmp_path / run).as_posix() for path in (tmp_path / run).rglob("*")} for run in RUNS]
    assert names[0] == names[1] and {"model.keras", "checkpoint.keras", "report.md"} < names[0]
    one, two = (rows(tmp_path / run) for run in RUNS)
    assert len(one) == len(two) == 2
    for a, b in zip(one, two, strict=True):
        for key in a:
            # The image that is made up weighs in the mean loss of the last validation batch.
            near = 0.1 if key == "val_loss" else 2e-3
            assert a[key] == pytest.approx(b[key], rel=near, abs=near), key


def test_a_lost_process_ends_the_other_with_a_word_and_the_run_goes_on(start, data, tmp_path):
    output = tmp_path / "run"
    first, second = start_two(start, data, output, "--epochs", "200", "--precision", "mixed_bfloat16")

    def reached():
        assert first.poll() is None and second.poll() is None, first.communicate()
        return (output / "checkpoint.keras").is_file()

    wait_until(reached)
    second.kill()
    _, said = first.communicate()
    assert first.returncode == 1, said
    last = said.splitlines()[-1]
    assert last.startswith("keras-segnet: process 0 of 2 cannot go on; another may have ended: ")
    assert last.endswith("Start all again with --resume: the run continues after its last whole epoch.")
    behind = len(rows(output))
    alone = start(data, output, "--resume", "--epochs", "200", "--precision", "mixed_bfloat16")

    def went_on():
        assert alone.poll() is None, alone.communicate()
        return len(rows(output)) > behind

    wait_until(went_on)
