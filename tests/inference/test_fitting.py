"""The rule by which images become inputs travels from training through files to prediction and evaluation."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tiny_network

import keras_segnet
from keras_segnet import exporting
from keras_segnet.data import Classes, Example, SegmentationDataset
from keras_segnet.data.geometry import AUTO, STRETCH, Fit
from keras_segnet.data.images import read_label, write_png
from keras_segnet.errors import InputError
from keras_segnet.inference import Segmenter, load_segmenter
from keras_segnet.inference.open import open_segmenter
from keras_segnet.inference.segmenters import fit_beside
from keras_segnet.metrics import ConfusionMatrix
from keras_segnet.models import blocks
from keras_segnet.progress import Display

SIZE = (16, 24)


class Heard(Display):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    image = blocks.image_input((*SIZE, 3))
    scores = tiny_network.wire(blocks.normalize_colours(image, "imagenet"), 3, 1.0, dropout=0.0)
    return keras.Model(image, blocks.probabilities(scores, "softmax"), name="tiny")


@pytest.fixture(scope="module")
def files(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of one network, each with a rule of its own."""
    folder = tmp_path_factory.mktemp("files")
    model.save(folder / "a.keras")
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text('{"input_size": [16, 24], "fit": "pad"}')
    model.save(folder / "run" / "model.keras")
    exporting.export(
        folder / "run" / "model.keras", format="saved_model", output=folder / "saved_model", display=Display()
    )
    exporting.to_tflite(model, folder / "a.tflite", fit=Fit("tile", image_scale=0.5))
    exporting.to_onnx(model, folder / "a.onnx", fit=AUTO)
    exporting.to_tflite(model, folder / "old.tflite")
    names = {
        "keras": "a.keras",
        "saved_model": "saved_model",
        "tflite": "a.tflite",
        "onnx": "a.onnx",
        "old": "old.tflite",
    }
    return {kind: folder / name for kind, name in names.items()}


def test_each_kind_of_file_says_its_rule(files: dict[str, Path], model: keras.Model) -> None:
    found = {kind: load_segmenter(path).fit for kind, path in files.items()}
    tile = Fit("tile", image_scale=0.5)
    assert found == {"keras": None, "saved_model": Fit("pad"), "tflite": tile, "onnx": AUTO, "old": STRETCH}
    assert open_segmenter(files["keras"]).fit == AUTO == open_segmenter(model).fit  # They say none.
    assert fit_beside(Path("segnet_basic")) == AUTO


def test_what_is_asked_for_goes_before_what_a_model_says(files: dict[str, Path]) -> None:
    assert open_segmenter(files["onnx"]).fit == AUTO
    assert open_segmenter(files["onnx"], tile=(8, 9)).fit == Fit("tile", tile=(8, 9))
    assert open_segmenter(files["onnx"], overlap=3).fit == Fit("auto", overlap=3)
    assert open_segmenter(files["onnx"], fit="pad", flip=True, crf=True).fit == Fit("pad")
    with pytest.raises(InputError, match="`tile` is for `fit` tile, not pad"):
        open_segmenter(files["onnx"], fit="pad", tile=(8, 9))


def test_a_segmenter_keeps_its_own_rule(files: dict[str, Path]) -> None:
    segmenter = load_segmenter(files["onnx"])
    assert open_segmenter(segmenter, fit="tile").fit == Fit("tile") and segmenter.fit == AUTO
    assert open_segmenter(segmenter).fit == AUTO and open_segmenter(Bright()).fit == STRETCH


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"input_size": [16, 24], "fit": "pad"}, Fit("pad")),
        ({"input_size": [16, 24], "fit": "tile", "image_scale": 0.5}, Fit("tile", image_scale=0.5)),
        ({"input_size": [16, 24]}, STRETCH),  # Of a run that is older than the rules.
        ({"name": "of something else"}, None),
        ({"input_size": [16, 24], "fit": "squeeze"}, None),
        (None, None),
    ],
)
def test_a_model_in_the_folder_of_a_run_has_the_runs_rule(config: Any, expected: Fit | None, tmp_path: Path) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    assert fit_beside(tmp_path / "model.keras") == expected


class Bright(Segmenter):
    """Two classes: whether red is above 127. A pixel that was resized between them is neither, and counts as bright."""

    num_classes, input_size = 2, (8, 12)

    def run(self, images: np.ndarray) -> np.ndarray:
        return np.eye(2, dtype=np.float32)[(images[..., 0] > 0).astype(int)]


class Specks(SegmentationDataset):
    """Black images with single white pixels, which shrinking spreads."""

    name, classes = "specks", Classes(("dark", "bright"), ((0, 0, 0), (250, 250, 250)))
    sizes = ((40, 50), (8, 12), (16, 24), (9, 90))

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Example:
        label = (np.random.default_rng(index).random(self.sizes[index]) < 0.02).astype(np.uint8)
        return Example(np.dstack([label * 255] * 3), label)

    def item_name(self, index: int) -> str:
        return str(index)


def test_evaluation_follows_the_rule_and_says_where_auto_has_chosen_tiles() -> None:
    scored = {}
    for fit in ("auto", "stretch", "tile"):
        heard = Heard()
        found = keras_segnet.evaluate(Bright(), Specks(), fit=fit, display=heard)
        expected, segmenter = ConfusionMatrix(2), open_segmenter(Bright(), fit=fit)
        for image, label in map(Specks().__getitem__, range(4)):
            expected.add(label, segmenter.label(image))
        np.testing.assert_array_equal(found.matrix.counts, expected.counts)
        scored[fit] = found.scores.mean_iou
        assert (
            heard.lines == []
            if fit != "auto"
            else heard.lines[0].startswith(
                "2 of 4 images are more than 2 times as high or wide as the network's input, 8x12: labelling them in "
            )
        )
    assert scored["stretch"] < scored["auto"] < scored["tile"] == 1  # 16x24 is shrunk by auto, by 2.


def test_prediction_follows_the_rule_and_says_where_auto_has_chosen_tiles(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for index in range(4):
        write_png(tmp_path / "images" / f"{index}.png", Specks()[index].image)
    for fit, said in (("auto", 1), ("tile", 0)):
        heard = Heard()
        done = keras_segnet.predict(Bright(), tmp_path / "images", tmp_path / fit, fit=fit, display=heard)
        assert len([line for line in heard.lines if "labelling them in overlapping tiles" in line]) == said
        assert done.squeezed == {}
        for index in (0, 1, 3):
            np.testing.assert_array_equal(read_label(tmp_path / fit / f"{index}_mask.png"), Specks()[index].label)
    done = keras_segnet.predict(Bright(), tmp_path / "images", tmp_path / "out", display=Display())
    assert set(done.squeezed) == {"3"}  # A segmenter that says no rule stretches.
