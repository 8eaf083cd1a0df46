"""A run that is killed, or stopped with Ctrl-C, goes on to the numbers of an unbroken one: as from a shell.

Many more kills, in processes that start faster, are in test_killed.py.
"""

import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from polling import wait_until
from streets_folder import write_streets

EPOCHS = 4


def start(data: Path, output: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "keras_segnet.cli", "train", "--data", str(data), "--output", str(output), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell, which a test run may be, starts its children deaf to Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def settings() -> list[str]:
    return [
        # Averaged weights and recalibrated batch normalisation: more to go on with.
        "--recipe",
        "modern",
        "--model",
        "segnet_basic",
        "--width",
        "0.05",
        "--input-size",
        "24x32",
        "--epochs",
        str(EPOCHS),
        "--batch-size",
        "4",
        "--seed",
        "3",
    ]


def wait_for_checkpoint_of(process: subprocess.Popen[str], output: Path, epoch: int) -> None:
    """Waits until metrics.csv has the row of an epoch and its checkpoint has been written."""
    metrics, checkpoint = output / "metrics.csv", output / "checkpoint.keras"

    def reached() -> bool:
        assert process.poll() is None, f"the run ended by itself: {process.communicate()}"
        rows = metrics.read_text().count("\n") - 1 if metrics.is_file() else 0
        return rows >= epoch and checkpoint.is_file() and checkpoint.stat().st_mtime >= metrics.stat().st_mtime

    wait_until(reached)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("unbroken")
    data, output = write_streets(base / "data"), base / "run"
    process = start(data, output, *settings())
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return data, output


def assert_same_run(output: Path, unbroken: Path) -> None:
    assert (output / "metrics.csv").read_text() == (unbroken / "metrics.csv").read_text()
    ours, theirs = (keras.models.load_model(path / "model.keras", compile=False) for path in (output, unbroken))
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_killed_run_resumes_to_the_same_numbers(unbroken: tuple[Path, Path], tmp_path: Path) -> None:
    data, reference = unbroken
    output = tmp_path / "run"
    process = start(data, output, *settings())
    wait_for_checkpoint_of(process, output, 2)
    process.kill()
    process.communicate()
    resumed = start(data, output, "--resume")
    out, err = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, err
    assert f"of {EPOCHS}." in out and "Continuing after epoch" in out
    assert_same_run(output, reference)


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(unbroken: tuple[Path, Path], tmp_path: Path) -> None:
    data, _ = unbroken
    output = tmp_path / "run"
    process = start(data, output, *settings())
    wait_for_checkpoint_of(process, output, 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    (line,) = err.splitlines()
    assert line.startswith(
        f"keras-segnet: stopped. Continue with: keras-segnet train --resume --output {output}; score "
    )
    assert line.endswith(f"keras-segnet evaluate {output / 'model.keras'} --split val --data DATA")
    # What is there is as whole as after a kill.
    keras.models.load_model(output / "checkpoint.keras")
