"""`predict` and `evaluate` with samples and with a CRF: what they write is what the library gives."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_segnet import build_segnet_basic
from keras_segnet.cli.main import run
from keras_segnet.data import folder as open_folder
from keras_segnet.data.images import read_image
from keras_segnet.evaluation.evaluate import evaluate
from keras_segnet.inference import DenseCRFSegmenter, dense_crf, load_monte_carlo_segmenter, load_segmenter


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "bayesian.keras"
    build_segnet_basic(11, (24, 32, 3), width=0.05, dropout=0.5).save(path)
    return path


def test_predict_writes_uncertainty(model: Path, folder: Path, tmp_path: Path) -> None:
    output, image = tmp_path / "labelled", folder / "images" / "street_0.png"
    options = ["--uncertainty", "--samples", "4", "--crf"]
    assert run(["predict", str(model), str(image), "--output", str(output), *options]) == 0
    written = [f"street_0_{ending}" for ending in ("mask.png", "overlay.png", "uncertainty.npy", "uncertainty.png")]
    assert sorted(path.name for path in output.iterdir()) == ["legend.png", *written]
    picture = read_image(image)
    probabilities, uncertainty = load_monte_carlo_segmenter(model, 4).predict(picture)
    values = np.load(output / "street_0_uncertainty.npy")
    assert values.dtype == np.float32 and values.shape == (48, 64) and values.max() > 0
    np.testing.assert_allclose(values, uncertainty, atol=1e-6)
    assert cv2.imread(str(output / "street_0_uncertainty.png")).std() > 10
    mask = cv2.imread(str(output / "street_0_mask.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(mask, dense_crf(probabilities, picture).argmax(-1))


@pytest.mark.parametrize("options", [["--crf"], ["--crf", "--samples", "3"]])
def test_evaluate_scores_what_it_is_told_to(options: list[str], model: Path, folder: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    assert run(["evaluate", str(model), "--data", str(folder), "--json", str(scores), *options]) == 0
    segmenter = load_monte_carlo_segmenter(model, 3) if "--samples" in options else load_segmenter(model)
    expected = evaluate(DenseCRFSegmenter(segmenter), open_folder(folder, "test")).scores
    assert json.loads(scores.read_text())["global_accuracy"] == pytest.approx(expected.global_accuracy, abs=1e-4)


@pytest.mark.parametrize(
    ("command", "options", "expected"),
    [
        ("predict", ["--samples", "3"], ["--samples", "--uncertainty"]),
        ("predict", ["--uncertainty", "--samples", "0"], ["--samples", "0"]),
        ("evaluate", ["--samples", "0"], ["--samples", "0"]),
    ],
)
def test_samples_that_make_no_sense(
    command: str, options: list[str], expected: list[str], model: Path, folder: Path, tmp_path: Path, capsys
) -> None:
    rest = (
        ["--data", str(folder)] if command == "evaluate" else [str(folder / "images"), "--output", str(tmp_path / "o")]
    )
    assert run([command, str(model), *rest, *options]) == 2
    assert all(text in capsys.readouterr().err for text in expected[:1])
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["plain.keras", "exported.tflite", "missing.keras"])
def test_models_without_dropout(name: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, output = tmp_path / name, tmp_path / "labelled"
    if name == "plain.keras":
        build_segnet_basic(11, (24, 32, 3), width=0.05).save(path)
    elif name == "exported.tflite":
        path.write_bytes(b"")
    commands = (
        ["predict", str(path), str(folder / "images"), "--output", str(output), "--uncertainty"],
        ["evaluate", str(path), "--data", str(folder), "--samples", "3"],
    )
    for command in commands:
        assert run(command) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert name in line and ("does not exist" if name == "missing.keras" else "dropout") in line
    assert not output.exists()
