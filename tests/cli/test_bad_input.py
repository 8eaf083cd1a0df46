"""Each fault in what the user gives: one line that names it, exit status 2, nothing written."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_segnet.cli.main import run

SEGNET = ["--data", "DATA", "--model", "segnet"]
TRAIN = ["--width", "0.05", "--input-size", "32x32", "--epochs", "1"]


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def repaint(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    cv2.imwrite(str(path), change(cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))


def set_pixel(value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(label: np.ndarray) -> np.ndarray:
        label[0, 0] = value
        return label

    return change


LABEL, IMAGE = Path("labels/street_5.png"), Path("images/street_5.png")
FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "an image without its label": (lambda d: (d / LABEL).unlink(), ["street_5.png", "no label"]),
    "sizes that differ": (
        lambda d: repaint(d / LABEL, lambda label: label[:-1]),
        ["street_5.png", "47x64", "48x64"],
    ),
    "a truncated image": (lambda d: damage(d / IMAGE), [str(IMAGE), "damaged"]),
    "a truncated label": (lambda d: damage(d / LABEL), [str(LABEL), "damaged"]),
    "a file that is no image": (lambda d: (d / IMAGE).write_text("hello"), [str(IMAGE), "no image"]),
    "an empty file": (lambda d: (d / IMAGE).write_bytes(b""), [str(IMAGE), "0 bytes"]),
    "a label value beyond the classes": (lambda d: repaint(d / LABEL, set_pixel(200)), [str(LABEL), "200", "0 to 10"]),
    "an RGB label": (lambda d: repaint(d / LABEL, lambda x: np.dstack([x, x, x])), [str(LABEL), "3 channels"]),
    "a 16-bit label": (lambda d: repaint(d / LABEL, lambda x: x.astype(np.uint16)), [str(LABEL), "uint16"]),
    "an empty split": (
        lambda d: [
            (d / f"{s}.txt").write_text(t) for s, t in (("train", ""), ("val", "street_1"), ("test", "street_2"))
        ],
        ["train.txt", "empty split"],
    ),
    "a listed image that is missing": (
        lambda d: [(d / f"{s}.txt").write_text("street_99") for s in ("train", "val", "test")],
        ["train.txt, line 1", "street_99"],
    ),
    "two images of one name": (
        lambda d: cv2.imwrite(str(d / "images" / "street_5.jpg"), np.zeros((48, 64, 3), np.uint8)),
        ["street_5.jpg", "street_5.png"],
    ),
    "too few images": (
        lambda d: [path.unlink() for path in (d / "images").iterdir() if path.stem not in ("street_1", "street_2")],
        ["2 image", "three"],
    ),
    "a value that leaves a gap where nobody says how many classes there are": (
        lambda d: [(d / "classes.txt").unlink(), repaint(d / LABEL, set_pixel(99))],
        [str(LABEL), "99", "11"],
    ),
    "as many class names as there are not classes": (
        lambda d: (d / "classes.txt").write_text("only one"),
        ["num_classes", "1"],
    ),
}


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_data_set(fault: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant, expected = FAULTS[fault]
    plant(folder)
    output = tmp_path / "run"
    assert run(["train", "--data", str(folder), *TRAIN, "--output", str(output)]) == 2
    line = one_line(capsys)
    assert all(text in line for text in expected), line
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--data", "nowhere"], ["nowhere", "does not exist"]),
        (["--data", "DATA", "--input-size", "0x10"], ["--input-size", "'0x10'", "360x480"]),
        (["--data", "DATA", "--input-size", "10"], ["--input-size", "'10'"]),
        (["--data", "DATA", "--model", "segnot"], ["--model", "'segnot'; did you mean segnet?"]),
        (["--data", "DATA", "--width", "0"], ["width", "0"]),
        ([*SEGNET, "--weights", "nowhere.npz", "--width", "1"], ["nowhere.npz", "no file"]),
        ([*SEGNET, "--weights", "nowhere.npz", "--width", "0.5"], ["nowhere.npz", "0.5"]),
        (["--data", "DATA", "--weights", "camvid", "--width", "0.5"], ["--weights 'camvid' need --width 1.0, not 0.5"]),
        (
            ["--data", "DATA", "--model", "fcn_basic", "--weights", "imagenet"],
            ["fcn_basic", "--weights of fcn_basic must be None or the path of a .keras file", "'imagenet'"],
        ),
        (["--data", "DATA", "--model", "segnet_basic", "--weights", "imagenet"], ["segnet_basic", "'camvid'"]),
        (["--data", "DATA", "--balancing", "fair"], ["fair", "presence"]),
        (["--data", "DATA", "--scale", "2", "1"], ["scale", "(2.0, 1.0)"]),
        (["--data", "DATA", "--recipe", "pasta"], ["--recipe must be paper or modern, not 'pasta'"]),
        (["--data", "DATA", "--preprocessing", "rgb"], ["preprocessing", "'lcn'", "'rgb'"]),
        (["--data", "DATA", "--schedule", "linear"], ["--schedule must be cosine or constant, not 'linear'"]),
        (
            ["--data", "DATA", "--loss-normalization", "mean"],
            ["--loss-normalization must be valid_pixels, weights or sum"],
        ),
        (["--data", "DATA", "--ema-momentum", "1"], ["--ema-momentum", "below 1, not 1.0"]),
        (["--data", "DATA", "--precision", "float16"], ["--precision", "mixed_bfloat16", "not 'float16'"]),
        (["--data", "FOUR", "--balancing", "released"], ["--balancing released", "11 classes", "have 4"]),
        (["--data", "EMPTY"], ["empty", "images/"]),
        ([], ["--data"]),
    ],
)
def test_a_faulty_argument(
    arguments: list[str], expected: list[str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    if "FOUR" in arguments:
        (folder / "classes.txt").write_text("sky\nroad\ncar\ntree")
        for path in (folder / "labels").iterdir():
            repaint(path, lambda label: np.minimum(label, 3))
    places = {"DATA": str(folder), "FOUR": str(folder), "EMPTY": str(tmp_path / "empty")}
    output = tmp_path / "run"
    assert run(["train", *TRAIN, *(places.get(word, word) for word in arguments), "--output", str(output)]) == 2
    line = one_line(capsys)
    assert all(text in line for text in expected), line
    assert not output.exists()


def test_an_output_folder_that_holds_another_run(
    trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data, output = trained
    before = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    assert run(["train", "--data", str(data), "--output", str(output)]) == 2
    line = one_line(capsys)
    assert str(output) in line and "another run" in line and "--resume" in line
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == before


def test_resuming_with_other_settings(trained: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, output = trained
    assert run(["train", "--resume", "--output", str(output), "--seed", "7"]) == 2
    line = one_line(capsys)
    assert "--seed 7" in line and str(output) in line


@pytest.mark.parametrize("name", ["text.keras", "missing.keras", "text.tflite", "text.onnx", "folder", "picture.png"])
def test_what_is_no_model(name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif "missing" not in name:
        path.write_text("not a model")
    assert run(["evaluate", str(path), "--data", str(folder)]) == 2
    assert name in one_line(capsys)
    assert run(["predict", str(path), str(folder / "images"), "--output", str(tmp_path / "out")]) == 2
    assert name in one_line(capsys)
    assert not (tmp_path / "out").exists()
    if name.endswith(".keras"):
        assert run(["export", str(path), "--format", "tflite", "--output", str(tmp_path / "out.tflite")]) == 2
        assert name in one_line(capsys)
        assert not (tmp_path / "out.tflite").exists()


def test_export_onto_an_existing_file(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.tflite"
    path.write_text("precious")
    assert run(["export", str(trained[1] / "model.keras"), "--format", "tflite", "--output", str(path)]) == 2
    assert "exists already" in one_line(capsys)
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "tflite", "--precision", "int8"], "needs --data"),
        (["--format", "tflite", "--precision", "int4"], "--precision must be float32, float16, int8 or int16x8"),
        (["--format", "tflite", "--head", "labels"], "--head must be probabilities, logits or class_map"),
        (["--format", "tflite", "--interface", "int8"], "goes with --precision 'int8'"),
        (["--format", "saved_model", "--precision", "float16"], "is for --format tflite"),
        (["--format", "saved_model", "--head", "class_map"], "is for --format onnx or tflite"),
        (["--format", "saved_model", "--input-size", "24x32"], "is for --format onnx or tflite"),
        (["--format", "onnx", "--precision", "int8"], "is for --format tflite"),
        (["--format", "onnx", "--head", "labels"], "--head must be probabilities, logits or class_map"),
        (["--format", "tflite", "--dynamic-batch"], "is for --format onnx"),
        (["--format", "tflite", "--input-size", "48x64"], "--input-size 48x64 is not the size of segnet_basic, 24x32"),
        (["--format", "onnx", "--input-size", "24x33"], "--input-size 24x33 is not the size of segnet_basic, 24x32"),
    ],
)
def test_export_options_that_do_not_go_together(
    options: list[str],
    message: str,
    trained: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suffix = {"tflite": ".tflite", "onnx": ".onnx", "saved_model": ""}[options[1]]
    output = tmp_path / f"out{suffix}"
    assert run(["export", str(trained[1] / "model.keras"), *options, "--output", str(output)]) == 2
    assert message in one_line(capsys)
    assert not output.exists()


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_export_of_a_model_of_any_size_without_one(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras_segnet import build_segnet_basic

    build_segnet_basic(3, (None, None, 3), width=0.05).save(tmp_path / "any.keras")
    output = tmp_path / f"out.{kind}"
    assert run(["export", str(tmp_path / "any.keras"), "--format", kind, "--output", str(output)]) == 2
    line = one_line(capsys)
    assert "takes images of any size" in line and "--input-size" in line
    assert [path.name for path in tmp_path.iterdir()] == ["any.keras"]


def test_calibration_on_another_set_of_classes(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras_segnet import build_segnet_basic

    build_segnet_basic(3, (24, 32, 3), width=0.05).save(tmp_path / "three.keras")
    options = ["--format", "tflite", "--precision", "int8", "--data", str(trained[0])]
    output = tmp_path / "out.tflite"
    assert run(["export", str(tmp_path / "three.keras"), *options, "--output", str(output)]) == 2
    assert "predicts 3 classes" in one_line(capsys)
    assert not output.exists()


def test_an_unknown_optimizer(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    assert run(["train", "--data", str(folder), "--optimizer", "sgdd", "--output", str(output)]) == 2
    assert "--optimizer must be muon, adamw or sgd, not 'sgdd'; did you mean sgd?" in one_line(capsys)
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--coordinator", "localhost:9876", "--devices", "2"], "--devices is for one machine"),
        (["--processes", "2"], "need --coordinator"),
        (["--process", "1"], "need --coordinator"),
        (["--coordinator", "localhost:9876", "--processes", "2"], "--coordinator is for JAX"),
        (["--devices", "none"], "--devices none: must be 'all' or 1 to"),
    ],
)
def test_train_options_of_devices_that_do_not_go_together(
    options: list[str], message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "run"
    assert run(["train", "--data", str(folder), *options, "--output", str(output)]) == 2
    assert message in one_line(capsys)
    assert not output.exists()


def test_predict_checks_every_image_before_it_writes(
    trained: tuple[Path, Path], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(folder / IMAGE)
    output = tmp_path / "labelled"
    assert run(["predict", str(trained[1] / "model.keras"), str(folder / "images"), "--output", str(output)]) == 2
    assert str(IMAGE) in one_line(capsys)
    assert not output.exists()


def test_a_model_of_other_classes(trained: tuple[Path, Path], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "classes.txt").write_text("\n".join(f"thing {i}" for i in range(12)))
    assert run(["evaluate", str(trained[1] / "model.keras"), "--data", str(folder)]) == 2
    line = one_line(capsys)
    assert "11 classes" in line and "12" in line
