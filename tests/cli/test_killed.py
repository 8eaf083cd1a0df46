"""Whatever ends a run, it leaves whole files, and goes on to the numbers of an unbroken one."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import cv2
import forked
import keras
import numpy as np
import pytest
from streets_folder import SIZE, write_streets

from keras_segnet.data import folder, training_batches
from keras_segnet.training.run import LOCK

EPOCHS = 6
SETTINGS = f"--model tiny --input-size 24x32 --epochs {EPOCHS} --batch-size 4 --seed 3 --optimizer adamw".split()
KILLS = 6


def ends(arguments: list[str], said: Path, *before: object) -> tuple[int, list[str]]:
    """Runs to the end. Gives the exit status and the lines on the screen."""
    process = forked.start(arguments, said, *before)
    process.join()
    return process.exitcode, said.read_text().splitlines()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_streets(tmp_path_factory.mktemp("streets") / "data")


@pytest.fixture(scope="module")
def unbroken(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("unbroken")
    status, said = ends(command(data, base / "run"), base / "said")
    assert status == 0, said
    return base / "run"


def command(data: Path, output: Path) -> list[str]:
    return ["train", "--data", str(data), *SETTINGS, "--resume", "--output", str(output)]


def assert_same_run(output: Path, unbroken: Path) -> None:
    assert (output / "metrics.csv").read_text() == (unbroken / "metrics.csv").read_text()
    assert (output / "report.md").read_text() == (unbroken / "report.md").read_text()
    assert files(output) == files(unbroken)
    for name in ("model.keras", "checkpoint.keras"):
        ours, theirs = (keras.models.load_model(path / name) for path in (output, unbroken))
        for a, b in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
        for a, b in zip(ours.optimizer.variables, theirs.optimizer.variables, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_kills(data: Path, unbroken: Path, tmp_path: Path) -> None:
    """At random moments, at random moments of its work on files, and in the middle of writing a checkpoint."""
    output, said = tmp_path / "run", tmp_path / "said"
    chance = random.Random(5)
    checkpoint = output / "checkpoint.partial.keras"
    kills = 0
    while kills < KILLS:
        way = kills % 3
        if way == 0:
            process = forked.start(command(data, output), said)
            process.join(chance.uniform(0, 3))
            process.kill()
        elif way == 1:
            process = forked.start(command(data, output), said, forked.die_at_write, output, chance.randint(1, 14))
        else:
            checkpoint.unlink(missing_ok=True)
            process = forked.start(command(data, output), said, forked.die_within_write, checkpoint)
        process.join()
        kills += process.exitcode == -9
        if way == 2 and process.exitcode:
            assert checkpoint.stat().st_size  # There is half a checkpoint, or a whole one that has not got its name.
        if process.exitcode == 0:
            assert_same_run(output, unbroken)
            shutil.rmtree(output)
        else:
            assert process.exitcode == -9, said.read_text()
    status, lines = ends(command(data, output), said)
    assert status == 0, lines
    assert_same_run(output, unbroken)


@pytest.mark.parametrize("moment", ["on_train_batch_end", "on_test_batch_end"])
def test_ctrl_c_in_training_and_in_validation(moment: str, data: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    status, said = ends(command(data, output), tmp_path / "said", forked.press_ctrl_c, moment)
    assert status == 130
    assert said[-1] == f"keras-segnet: stopped. Continue with: keras-segnet train --resume --output {output}"
    assert files(output) == {"config.json", LOCK}


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("predict MODEL DATA/images --output HERE/out", "HERE"),
        ("evaluate MODEL --data DATA --split train --json HERE/scores.json", "DATA"),
        ("export MODEL --format tflite --output HERE/out.tflite", "HERE"),
        ("data check DATA --contact-sheet HERE/sheet.png", "DATA"),
        ("data weights DATA --json HERE/weights.json", "DATA"),
        ("data convert DATA HERE/out", "HERE"),
    ],
)
def test_ctrl_c_in_other_commands(command: str, where: str, data: Path, unbroken: Path, tmp_path: Path) -> None:
    """Amid reading, or amid writing the second file: status 130, one line, and no half of a file."""
    here, said = tmp_path / "here", tmp_path / "said"
    here.mkdir()
    places = {"MODEL": unbroken / "model.keras", "DATA": data, "HERE": here}
    arguments = command.split()
    for word, place in places.items():
        arguments = [part.replace(word, str(place)) for part in arguments]
    moment = 1 if "export" in command else 3
    status, lines = ends(arguments, said, forked.press_ctrl_c_at_file, places[where], moment)
    assert status == 130, lines
    assert lines[-1].startswith("keras-segnet: stopped.")
    left = files(here)
    assert not any("partial" in name for name in left), left
    if "predict" not in command:
        assert left == set()
    for name in left - {"out"}:
        assert cv2.imread(str(here / name)) is not None


def test_a_full_disk(data: Path, unbroken: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    most = (unbroken / "checkpoint.keras").stat().st_size // 2
    status, said = ends(command(data, output), tmp_path / "said", forked.fill_disk, most)
    assert status == 2
    assert said[-1] == f"keras-segnet: {output / 'model.keras'} cannot be written: File too large."
    assert files(output) == {"config.json", "metrics.csv", LOCK}
    assert ends(command(data, output), tmp_path / "said")[0] == 0
    assert_same_run(output, unbroken)


@pytest.mark.parametrize("kind", ["tflite", "onnx", "saved_model"])
def test_an_export_onto_a_full_disk(kind: str, unbroken: Path, tmp_path: Path) -> None:
    output = tmp_path / f"out.{kind}"
    arguments = ["export", str(unbroken / "model.keras"), "--format", kind, "--output", str(output)]
    status, said = ends(arguments, tmp_path / "said", forked.fill_disk, 2000)
    assert status == 2
    assert said[-1] == f"keras-segnet: {output} cannot be written: File too large."
    assert files(tmp_path) == {"said"}


def test_a_loss_that_is_no_number(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    status, said = ends(command(data, output), tmp_path / "said", forked.lose_the_loss, 2, 1)
    assert status == 2
    # The batches themselves, unchanged but in size: which images are in the sixth?
    training = folder(data)
    batches = training_batches(training, 4, SIZE, augmentation=None, seed=3, first_epoch=2).as_numpy_iterator()
    images = [images for images, _ in batches][1]
    by_content = {training[i].image.tobytes(): training.item_name(i) for i in range(len(training))}
    names = ", ".join(by_content[image.tobytes()] for image in images)
    assert said[-1] == (
        f"keras-segnet: stopped in epoch 3: the loss is nan at step 2 of 2, images {names}; "
        f"{output / 'checkpoint.keras'} holds epoch 2. Start anew with a --learning-rate below 0.002."
    )
    assert keras.models.load_model(output / "checkpoint.keras").optimizer.iterations == 2 * 2
    assert len((output / "metrics.csv").read_text().splitlines()) == 1 + 2


def test_a_folder_that_cannot_be_written_to(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    output = tmp_path / "file" / "run"
    status, said = ends(command(data, output), tmp_path / "said")
    assert status == 2
    assert said[-1] == f"keras-segnet: {output} cannot be written to: Not a directory."


def test_a_training_set_that_has_changed(data: Path, unbroken: Path, tmp_path: Path) -> None:
    other, output = tmp_path / "data", tmp_path / "run"
    shutil.copytree(data, other)
    process = forked.start(command(other, output), tmp_path / "said", forked.die_at_write, output, 12)
    process.join()
    for part in ("images", "labels"):
        for number in range(6):
            (other / part / f"street_{number}.png").unlink()
    status, said = ends(command(other, output), tmp_path / "said")
    assert status == 2
    assert said[-1] == (
        f"keras-segnet: data train has 4 images, and {output} was begun with 8; continue with the same data, or choose "
        "another --output."
    )
