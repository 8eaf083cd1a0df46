"""`keras_segnet.train` does what the command does."""

import contextlib
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest
import tiny_network

import keras_segnet
from keras_segnet.cli.main import run
from keras_segnet.data import street_scenes, write_folder
from keras_segnet.data.geometry import Fit
from keras_segnet.data.images import write_png
from keras_segnet.errors import InputError
from keras_segnet.inference import load_segmenter
from keras_segnet.metrics import ConfusionMatrix
from keras_segnet.models import NETWORKS
from keras_segnet.progress import Display
from keras_segnet.training.run import Run
from keras_segnet.training.train import TrainedRun

SIZE = (24, 32)
SETTINGS = {"model": "segnet_basic", "width": 0.05, "input_size": SIZE, "epochs": 2, "seed": 3}
OPTIONS = ["--model", "segnet_basic", "--width", "0.05", "--input-size", "24x32", "--epochs", "2", "--seed", "3"]


class Listening(Display):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streets") / "data"
    write_folder(folder, {split: street_scenes(split, 4, (48, 64)) for split in ("train", "val", "test")})
    return folder


@pytest.fixture(scope="module")
def from_python(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    output = tmp_path_factory.mktemp("python") / "run"
    trained = keras_segnet.train(data, output=output, display=Display(), **SETTINGS)
    assert trained is not None
    return trained


def assert_equal_weights(ours: keras.Model, theirs: keras.Model) -> None:
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


def test_python_is_the_command_line(data: Path, from_python: TrainedRun, tmp_path: Path) -> None:
    output = tmp_path / "run"
    assert run(["train", "--data", str(data), *OPTIONS, "--output", str(output)]) == 0
    assert_equal_weights(from_python.model(), keras.models.load_model(output / "model.keras", compile=False))
    for name in ("config.json", "metrics.csv", "report.md"):
        assert (output / name).read_text() == (from_python.folder / name).read_text()
    written = {path.relative_to(output) for path in output.rglob("*")}
    assert written == {path.relative_to(from_python.folder) for path in from_python.folder.rglob("*")}


def test_what_it_returns(from_python: TrainedRun) -> None:
    report = (from_python.folder / "report.md").read_text()
    assert f"mean IoU {100 * from_python.scores.mean_iou:.2f}" in report
    assert [row["epoch"] for row in from_python.history] == [1, 2]
    table = from_python._repr_html_()
    assert table.count("<tr>") == 1 + len(from_python.classes) + 2
    assert f"<td>{100 * from_python.scores.mean_iou:.2f}</td>" in table


def test_data_sets_from_python_train_to_the_same(data: Path, from_python: TrainedRun, tmp_path: Path) -> None:
    datasets = {split: keras_segnet.data.folder(data, split) for split in ("train", "val")}
    output = tmp_path / "run"
    trained = keras_segnet.train(datasets, output=output, display=Display(), **SETTINGS)
    assert trained is not None
    assert_equal_weights(trained.model(), from_python.model())
    # It can be resumed with the data sets only, for no path leads to them.
    with pytest.raises(InputError, match="begun with data sets from Python; give them again, as `data`"):
        keras_segnet.train(output=output, resume=True)
    shown = Listening()
    again = keras_segnet.train(datasets, output=output, resume=True, display=shown)
    assert again is not None and again.scores.mean_iou == trained.scores.mean_iou
    assert "Continuing after epoch 2 of 2." in shown.lines


@pytest.mark.parametrize(("chosen", "other"), [("float32", "mixed_bfloat16"), ("mixed_bfloat16", "float32")])
def test_a_run_keeps_the_precision_that_was_chosen_for_it(
    chosen: str, other: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, output, shown = "keras_segnet.training.train.choose_precision", tmp_path / "run", Listening()
    monkeypatch.setattr(module, lambda: (chosen, "it was made up"))
    settings = {**SETTINGS, "epochs": 1}
    assert keras_segnet.train(data, output=output, display=shown, **settings) is not None
    assert f"Computing in {chosen}: it was made up." in shown.lines
    assert json.loads((output / "config.json").read_text())["precision"] == chosen
    assert f"precision | {chosen}" in (output / "report.md").read_text()
    checkpoint = keras.models.load_model(output / "checkpoint.keras")
    assert checkpoint.get_layer("conv1_bn").dtype_policy.name == chosen
    assert keras.models.load_model(output / "model.keras").get_layer("conv1_bn").dtype_policy.name == "float32"
    # On another device it stays what it is, whether auto is said again or nothing; another one is refused.
    monkeypatch.setattr(module, lambda: (other, "of another device"))
    for precision in ({}, {"precision": "auto"}, {"precision": chosen}):
        shown = Listening()
        assert keras_segnet.train(data, output=output, resume=True, display=shown, **precision) is not None
        assert json.loads((output / "config.json").read_text())["precision"] == chosen
        assert not any("another device" in line for line in shown.lines)
    with pytest.raises(InputError, match=f"`precision` {other} differs from the run"):
        keras_segnet.train(data, output=output, resume=True, precision=other)


class Impatient(Display):
    """Presses Ctrl-C when an epoch has been shown."""

    def say(self, line: str) -> None:
        if line.startswith("Epoch "):
            raise KeyboardInterrupt


TINY = {"model": "tiny", "input_size": SIZE, "optimizer": "adamw", "batch_size": 2}


@contextlib.contextmanager
def tiny_network_registered() -> Iterator[None]:
    """A network that compiles fast, in the registry."""
    before = dict(NETWORKS)
    tiny_network.register()
    yield
    NETWORKS.clear()
    NETWORKS.update(before)


@pytest.fixture
def tiny() -> Iterator[None]:
    with tiny_network_registered():
        yield


def stopped_and_resumed(data: Path, output: Path, **settings: Any) -> TrainedRun:
    with pytest.raises(KeyboardInterrupt):
        keras_segnet.train(data, output=output, display=Impatient(), **settings)
    resumed = keras_segnet.train(output=output, resume=True, display=Display())
    assert resumed is not None
    return resumed


def test_a_run_resumes_amid_accumulated_batches(data: Path, tiny: None, tmp_path: Path) -> None:
    settings = {**TINY, "epochs": 3, "accumulate": 4}  # Of 6 batches, two of them behind the first epoch.
    unbroken = keras_segnet.train(data, output=tmp_path / "unbroken", display=Display(), **settings)
    assert unbroken is not None
    resumed = stopped_and_resumed(data, tmp_path / "resumed", **settings)
    assert resumed.history == unbroken.history
    assert len({row["loss"] for row in resumed.history}) == 3
    ours, theirs = (keras.models.load_model(each.folder / "checkpoint.keras") for each in (resumed, unbroken))
    assert_equal_weights(ours, theirs)
    assert ours.optimizer.iterations == 6 // 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": None}, "`data` is missing"),
        ({"data": None, "resume": True}, "there is no run in .* to resume, and a new one needs `data`"),
        (
            {"data": {"val": street_scenes("val", 1, SIZE)}},
            "`data` must have the data sets 'train' and 'val'; it has val",
        ),
        ({"data": "nowhere"}, "nowhere does not exist"),
        (
            {"data": "streets", "model": "segnet_egde"},
            "`model` must be .*, not 'segnet_egde'; did you mean segnet_edge?",
        ),
        ({"data": "streets", "processes": 2}, "`processes` and `process` need `coordinator`"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    arguments: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        keras_segnet.train(**{"output": tmp_path / "run", **arguments})
    assert not (tmp_path / "run").exists()


# Another process, other data, more epochs.


@pytest.fixture(scope="module")
def tiny_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    with tiny_network_registered():
        output = tmp_path_factory.mktemp("tiny") / "run"
        trained = keras_segnet.train(data, output=output, display=Display(), **TINY, epochs=2)
    assert trained is not None
    return trained


@pytest.fixture
def finished(tiny_run: TrainedRun, data: Path, tiny: None, tmp_path: Path) -> TrainedRun:
    """A finished run that a test may change, and its data, which are a copy too."""
    shutil.copytree(data, tmp_path / "data")
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps({**config, "data": str(tmp_path / "data")}))
    return replace(tiny_run, folder=tmp_path / "run")


def hold_the_lock(folder: Path, ready: Any) -> None:
    run = Run(folder)
    run.lock()
    ready.set()
    time.sleep(600)


def test_two_processes_do_not_train_in_one_folder_and_a_kill_leaves_it_free(finished: TrainedRun) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    other = context.Process(target=hold_the_lock, args=(finished.folder, ready))
    other.start()
    try:
        assert ready.wait(120)
        with pytest.raises(InputError, match=r"another process is training in .*run; wait for it, or choose another"):
            keras_segnet.train(output=finished.folder, resume=True, display=Display())
    finally:
        other.kill()
        other.join()
    assert keras_segnet.train(output=finished.folder, resume=True, display=Display()) is not None


def swap_two_images(data: Path) -> None:
    one, two = sorted((data / "images").iterdir())[:2]
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)


def change_a_label(data: Path) -> None:
    for path in (data / "labels").iterdir():
        write_png(path, np.where(np.arange(48)[:, None] == 7, 3, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))


def reorder_lists(data: Path) -> None:
    path = data / "train.txt"
    path.write_text("\n".join(reversed(path.read_text().split())))


def rename_a_class(data: Path) -> None:
    names = (data / "classes.txt").read_text().splitlines()
    (data / "classes.txt").write_text("\n".join(["heaven", *names[1:]]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap_two_images, "has other images, labels or another order"),
        (change_a_label, "has other images, labels or another order"),
        (reorder_lists, "has other images, labels or another order"),
        (rename_a_class, "has the classes heaven, .* was begun with Sky, "),
    ],
)
def test_a_run_does_not_continue_on_data_that_have_changed(
    change: Callable[[Path], None], message: str, finished: TrainedRun
) -> None:
    change(finished.folder.parent / "data")
    with pytest.raises(InputError, match=f"{message}.*; continue with the same data"):
        keras_segnet.train(output=finished.folder, resume=True, display=Display())


def test_a_finished_run_can_be_given_more_epochs(finished: TrainedRun) -> None:
    shown = Listening()
    more = keras_segnet.train(output=finished.folder, resume=True, epochs=4, display=shown)
    assert more is not None
    assert [row["epoch"] for row in more.history] == [1, 2, 3, 4]
    assert "Continuing after epoch 2 of 4." in shown.lines
    assert any("the learning rate is that of a run of 4" in line for line in shown.lines)
    assert more.history[:2] == finished.history[:2]
    rates = [row["learning_rate"] for row in more.history]
    # Two epochs rise to 2e-3, and two fall along a cosine.
    np.testing.assert_allclose(rates[2:], [1e-3, 0], atol=1e-8)
    assert json.loads((finished.folder / "config.json").read_text())["epochs"] == 4
    with pytest.raises(InputError, match="`epochs` 3 differs from the run"):
        keras_segnet.train(output=finished.folder, resume=True, epochs=3)


def test_a_checkpoint_without_an_optimiser_is_refused(finished: TrainedRun) -> None:
    finished.model().save(finished.folder / "checkpoint.keras")
    with pytest.raises(InputError, match=r"checkpoint\.keras cannot be read as a checkpoint: it has no optimiser"):
        keras_segnet.train(output=finished.folder, resume=True, display=Display())


def test_a_run_keeps_the_rule_by_which_images_become_inputs(data: Path, tiny: None, tmp_path: Path) -> None:
    settings = {**TINY, "input_size": (10, 14), "epochs": 1, "fit": "tile", "image_scale": 0.75}
    trained = keras_segnet.train(data, output=tmp_path / "run", display=Display(), **settings)
    assert trained is not None
    segmenter = load_segmenter(trained.folder / "model.keras")
    assert segmenter.fit == Fit("tile", image_scale=0.75)
    dataset = keras_segnet.data.folder(data, "val")
    expected = ConfusionMatrix(len(dataset.classes), dataset.classes.ignored)
    for image, label in map(dataset.__getitem__, range(len(dataset))):
        assert len(segmenter.layout(label.shape).windows) > 1
        expected.add(label, segmenter.label(image))
    np.testing.assert_array_equal(trained.matrix.counts, expected.counts)


def test_a_run_waits_so_long_for_a_better_epoch_and_stays_stopped(data: Path, tiny: None, tmp_path: Path) -> None:
    # At such a rate nothing improves, so that the first epoch is the best, or one that ties with it.
    settings = {**TINY, "epochs": 9, "learning_rate": 1e-30, "weight_decay": 0.0, "patience": 2, "loss": "ohem+dice"}
    trained = keras_segnet.train(data, output=tmp_path / "run", display=Display(), **settings)
    assert trained is not None
    scores = [row["val_mean_iou"] for row in trained.history]
    assert len(scores) < 9 and len(scores) == scores.index(max(scores)) + 3
    shown = Listening()
    again = keras_segnet.train(output=tmp_path / "run", resume=True, display=shown)
    assert again is not None and len(again.history) == len(scores)
    assert "The best epoch is 2 epochs ago; the run has stopped for good." in shown.lines


def test_an_input_below_the_networks_stride_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`input_size` 2x40 is below the stride of segnet_basic; .* 16x16"):
        keras_segnet.train(data, output=tmp_path / "run", **{**SETTINGS, "input_size": (2, 40)}, display=Display())
    assert not (tmp_path / "run").exists()


def test_ops_are_deterministic_in_a_run_only(finished: TrainedRun) -> None:
    from tensorflow.python.framework.config import is_op_determinism_enabled

    assert not is_op_determinism_enabled()
