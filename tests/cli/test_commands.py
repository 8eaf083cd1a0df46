"""What each command leaves behind, judged from its files and its exit status."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

import keras_segnet
from keras_segnet.cli.main import app, run
from keras_segnet.data import evaluation_batches, folder
from keras_segnet.inference.classes import classes_of
from keras_segnet.losses import WeightedCrossentropy
from keras_segnet.metrics import BoundaryF1, ConfusionMatrix, MeanIoU

SHELL = [sys.executable, "-m", "keras_segnet.cli"]


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SHELL, *arguments], capture_output=True, text=True, timeout=300)


def test_help_imports_no_framework() -> None:
    names = ("tensorflow", "keras", "numpy", "cv2", "grain", "matplotlib", "absl", "asyncio", "wrapt")
    check = (
        "import sys; from keras_segnet.cli.main import app, run; run(sys.argv[1:]); "
        f"print([n for n in {names} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check, "train", "--help"], capture_output=True, text=True)
    assert done.stdout.strip().endswith("[]")
    assert "--batch-size" in done.stdout


COMMANDS = [*(command.name for command in app.registered_commands), "data check", "data weights"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_an_example_in_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command.split(), "--help"]) == 0
    assert f"Example: keras-segnet {command}" in " ".join(capsys.readouterr().out.split())


def test_version() -> None:
    done = shell("--version")
    assert done.stdout == f"keras-segnet {keras_segnet.__version__}\n"


def test_train_writes_the_run_folder(trained: tuple[Path, Path]) -> None:
    data, output = trained
    config = json.loads((output / "config.json").read_text())
    assert config["data"] == str(data) and config["epochs"] == 2 and config["input_size"] == [24, 32]
    assert config["classes"]["names"] == [f"thing {i}" for i in range(11)]
    rows = list(csv.DictReader((output / "metrics.csv").open()))
    assert [float(row["epoch"]) for row in rows] == [1, 2]
    assert {"loss", "val_loss", "val_global_accuracy", "val_class_average_accuracy", "val_mean_iou"} <= set(rows[0])
    report = (output / "report.md").read_text()
    assert "thing 10" in report and "mean IoU" in report
    assert cv2.imread(str(output / "curves.png")) is not None
    assert cv2.imread(str(output / "confusion_matrix.png")) is not None
    overlays = sorted((output / "overlays").glob("*.png"))
    assert overlays and all(f"overlays/{path.name}" in report for path in overlays)
    assert cv2.imread(str(overlays[0])).shape == (48, 4 * 64, 3)  # image, truth, prediction, errors
    assert not list(output.glob("*.partial*"))


def test_model_is_that_of_the_best_validation_mean_iou(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, output = trained
    rows = list(csv.DictReader((output / "metrics.csv").open()))
    best = max(float(row["val_mean_iou"]) for row in rows)
    model = keras.models.load_model(output / "model.keras", compile=False)
    model.compile(loss=WeightedCrossentropy(11, ignore_class=255), metrics=[MeanIoU(11, 255)])
    found = model.evaluate(evaluation_batches(folder(data, "val"), 4, (24, 32)), verbose=0, return_dict=True)
    assert found["mean_iou"] == pytest.approx(best, abs=1e-6)


def exported(kind: str, trained: tuple[Path, Path], output: Path) -> Path:
    data, run_folder = trained
    path = output / {"tflite": "model.tflite", "onnx": "model.onnx", "saved_model": "saved_model"}[kind]
    status = run(
        ["export", str(run_folder / "model.keras"), "--format", kind, "--output", str(path), "--data", str(data)]
    )
    assert status == 0
    return path


@pytest.mark.parametrize("kind", ["keras", "tflite", "onnx", "saved_model"])
def test_evaluate_scores_every_kind_of_model_at_the_labels_own_resolution(
    kind: str, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, run_folder = trained
    model = run_folder / "model.keras" if kind == "keras" else exported(kind, trained, tmp_path)
    scores = tmp_path / "scores.json"
    assert run(["evaluate", str(model), "--data", str(data), "--split", "test", "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())

    # The oracle: Keras's own prediction, resized bilinearly to the label, counted by hand.
    network = keras.models.load_model(run_folder / "model.keras", compile=False)
    right = valid = 0
    pixels = np.zeros(11, int)
    test = folder(data, "test")
    for image, label in (test[i] for i in range(len(test))):
        small = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
        probabilities = network.predict(small[None], verbose=0)[0]
        prediction = cv2.resize(probabilities, (64, 48), interpolation=cv2.INTER_LINEAR).argmax(-1)
        right += int(((prediction == label) & (label != 255)).sum())
        valid += int((label != 255).sum())
        pixels += np.bincount(label[label != 255], minlength=11)
    assert found["global_accuracy"] == pytest.approx(right / valid, abs=2e-4)
    assert set(found) == {"global_accuracy", "class_average_accuracy", "mean_iou", "classes"}
    assert [found["classes"][f"thing {i}"]["pixels"] for i in range(11)] == pixels.tolist()
    assert set(found["classes"]["thing 0"]) == {"accuracy", "iou", "pixels"}


def test_evaluate_scores_boundaries_at_the_labels_own_resolution(
    trained: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, run_folder = trained
    scores = tmp_path / "scores.json"
    arguments = ["evaluate", str(run_folder / "model.keras"), "--data", str(data), "--split", "test", "--flip"]
    assert run([*arguments, "--boundary", "--json", str(scores)]) == 0
    found = json.loads(scores.read_text())

    network = keras.models.load_model(run_folder / "model.keras", compile=False)
    matrix = ConfusionMatrix(11, 255)
    boundaries = {definition: BoundaryF1(11, 255, definition) for definition in ("released", "csurka")}
    test = folder(data, "test")
    for image, label in (test[i] for i in range(len(test))):
        small = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
        both = network.predict(np.stack([small, small[:, ::-1]]), verbose=0)
        probabilities = (both[0] + both[1, :, ::-1]) / 2
        prediction = cv2.resize(probabilities, (64, 48), interpolation=cv2.INTER_LINEAR).argmax(-1)
        matrix.add(label, prediction)
        for boundary in boundaries.values():
            boundary.update_state(label, prediction)
    expected = {definition: boundary.result() for definition, boundary in boundaries.items()}
    assert found["boundary_f1"] == pytest.approx(expected, abs=2e-3)
    assert found["mean_iou"] == pytest.approx(matrix.scores().mean_iou, abs=2e-4)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("G "))
    assert line == (
        f"G {100 * found['global_accuracy']:.2f} / C {100 * found['class_average_accuracy']:.2f} / "
        f"mIoU {100 * found['mean_iou']:.2f} / BF (released) {100 * found['boundary_f1']['released']:.2f} / "
        f"BF (csurka) {100 * found['boundary_f1']['csurka']:.2f}"
    )


def test_predict_writes_a_mask_and_an_overlay_at_the_images_size(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, run_folder = trained
    output = tmp_path / "labelled"
    assert run(["predict", str(run_folder / "model.keras"), str(data / "images"), "--output", str(output)]) == 0
    names = {path.stem for path in (data / "images").iterdir()}
    assert {path.name for path in output.iterdir()} - {"legend.png"} == {
        f"{n}_{kind}.png" for n in names for kind in ("mask", "overlay")
    }
    mask = cv2.imread(str(output / "street_0_mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (48, 64) and mask.dtype == np.uint8 and mask.max() < 11
    assert cv2.imread(str(output / "street_0_overlay.png")).shape == (48, 64, 3)


def test_predict_takes_one_image_and_a_tflite_file(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, run_folder = trained
    model = exported("tflite", trained, tmp_path)
    image = data / "images" / "street_3.png"
    assert run(["predict", str(model), str(image), "--output", str(tmp_path / "one")]) == 0
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "legend.png",
        "street_3_mask.png",
        "street_3_overlay.png",
    ]
    # The file knows the names of the run that it was exported from, and predict uses its colours.
    written = json.loads((run_folder / "config.json").read_text())["classes"]
    assert list(classes_of(model, 11).names) == written["names"]
    mask, painted = (
        cv2.imread(str(tmp_path / "one" / f"street_3_{kind}.png"), cv2.IMREAD_COLOR_RGB) for kind in ("mask", "overlay")
    )
    expected = 0.5 * cv2.imread(str(image), cv2.IMREAD_COLOR_RGB) + 0.5 * np.array(written["colours"])[mask[..., 0]]
    assert np.abs(painted - expected).max() <= 0.5


def test_export_writes_onnx_with_the_head_the_size_and_the_batch_that_are_asked_for(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    import onnx

    data, run_folder = trained
    path = tmp_path / "model.onnx"
    arguments = ["export", str(run_folder / "model.keras"), "--format", "onnx", "--output", str(path)]
    options = ["--data", str(data), "--images", "2", "--head", "class_map", "--input-size", "24x32", "--dynamic-batch"]
    assert run([*arguments, *options]) == 0
    (output,) = onnx.load(path).graph.output
    assert output.name == "class_map"
    assert [dim.dim_param or dim.dim_value for dim in output.type.tensor_type.shape.dim] == ["batch", 24, 32]


def test_predict_goes_on_where_it_was_stopped(trained: tuple[Path, Path], tmp_path: Path) -> None:
    """A video and images in a folder's folder; what is there already is left as it is."""
    data, run_folder = trained
    pictures, output = tmp_path / "in", tmp_path / "out"
    (pictures / "more").mkdir(parents=True)
    for name in ("street_0.png", "street_1.png"):
        shutil.copy(data / "images" / name, pictures / "more" / name)
    film = cv2.VideoWriter(str(pictures / "drive.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for number in range(5):
        film.write(cv2.imread(str(data / "images" / f"street_{number}.png")))
    film.release()
    (output / "more").mkdir(parents=True)
    for kind in ("mask", "overlay"):
        (output / "more" / f"street_0_{kind}.png").write_text("precious")
    command = ["predict", str(run_folder / "model.keras"), str(pictures), "--output", str(output), "--resume"]
    assert run(command) == 0
    assert {path.relative_to(output).as_posix() for path in output.rglob("*.*")} == {
        "drive_overlay.mp4",
        "legend.png",
        *(f"drive_masks/{number:06d}.png" for number in range(5)),
        *(f"more/street_{number}_{kind}.png" for number in range(2) for kind in ("mask", "overlay")),
    }
    assert (output / "more" / "street_0_mask.png").read_text() == "precious"
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*.*")}
    assert run(command) == 0
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.*")} == before


def test_the_screen_shows_our_own_lines_only(trained: tuple[Path, Path], tmp_path: Path) -> None:
    _, run_folder = trained
    path = tmp_path / "model.tflite"
    done = shell("export", str(run_folder / "model.keras"), "--format", "tflite", "--output", str(path))
    assert done.returncode == 0 and path.is_file()
    assert done.stderr == ""
    assert done.stdout.startswith("No data is given; comparing on drawn streets and noise.\n")
    assert "held against the Keras model" in done.stdout and "CONV_2D" not in done.stdout
    assert "WARNING" not in done.stdout and "INFO" not in done.stdout
