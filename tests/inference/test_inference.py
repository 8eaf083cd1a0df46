"""Segmenters resize to the network and back; pictures show what they should."""

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from keras_segnet import build_segnet_basic
from keras_segnet.data import Classes
from keras_segnet.data.camvid import CLASSES as CAMVID
from keras_segnet.errors import InputError
from keras_segnet.inference import load_segmenter
from keras_segnet.inference.classes import classes_of
from keras_segnet.inference.segmenters import KerasSegmenter, load_keras_model
from keras_segnet.pictures import colourize, comparison, overlay

CLASSES = Classes(("sky", "road", "car"), ((10, 20, 30), (40, 50, 60), (70, 80, 90)), ignored=9)
LABEL = np.array([[0, 1], [2, 9]], np.uint8)


def test_colourize() -> None:
    assert colourize(LABEL, CLASSES).tolist() == [
        [[10, 20, 30], [40, 50, 60]],
        [[70, 80, 90], [224, 224, 192]],
    ]  # Not like the black sky.


def test_overlay_blends() -> None:
    image = np.full((2, 2, 3), 100, np.uint8)
    assert overlay(image, LABEL, CLASSES, opacity=0.25)[0, 0].tolist() == [78, 80, 82]  # 77.5 and 82.5 to even.
    np.testing.assert_array_equal(overlay(image, LABEL, CLASSES, opacity=0.0), image)


def test_comparison_marks_errors_and_ignored_pixels() -> None:
    image = np.full((2, 2, 3), 100, np.uint8)
    prediction = np.array([[0, 2], [2, 1]], np.uint8)
    picture = comparison(image, LABEL, prediction, CLASSES)
    assert picture.shape == (2, 8, 3)
    np.testing.assert_array_equal(picture[:, :2], image)
    np.testing.assert_array_equal(picture[:, 2:4], colourize(LABEL, CLASSES))
    np.testing.assert_array_equal(picture[:, 4:6], colourize(prediction, CLASSES))
    right, wrong, ignored = picture[0, 6], picture[0, 7], picture[1, 7]
    assert (
        right.tolist() == picture[1, 6].tolist() and wrong.tolist() == [200, 30, 30] and ignored.tolist() == [0, 0, 0]
    )


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_segnet_basic(3, (16, 24, 3), width=0.05)


@pytest.mark.parametrize("size", [(16, 24), (31, 50), (7, 9)])
def test_probabilities_are_at_the_images_own_size(model: keras.Model, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = KerasSegmenter(model).probabilities(image)
    shrinks = size[0] > 16
    small = cv2.resize(image, (24, 16), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    expected = cv2.resize(model.predict(small[None], verbose=0)[0], size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.shape == (*size, 3) and np.allclose(found.sum(axis=-1), 1, atol=1e-5)
    label = KerasSegmenter(model).label(image)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, expected.argmax(-1))


def test_a_network_of_any_size_takes_images_as_they_are() -> None:
    network = build_segnet_basic(3, (None, None, 3), width=0.05)
    segmenter = KerasSegmenter(network)
    assert segmenter.input_size is None
    image = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
    np.testing.assert_allclose(segmenter.probabilities(image), network.predict(image[None], verbose=0)[0], atol=1e-6)


def test_a_keras_file_that_is_no_segmentation_network(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "dense.keras")
    with pytest.raises(InputError, match="no segmentation network"):
        load_keras_model(tmp_path / "dense.keras")


def test_code_in_a_keras_file_is_not_run(tmp_path: Path) -> None:
    inputs = keras.Input((4, 4, 3))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)).save(tmp_path / "lambda.keras")
    with pytest.raises(InputError, match=r"lambda\.keras cannot be read"):
        load_segmenter(tmp_path / "lambda.keras")


def test_classes_come_from_the_run_beside_the_model(tmp_path: Path) -> None:
    written = {"names": ["a", "b"], "colours": [[1, 2, 3], [4, 5, 6]], "ignored": 7}
    (tmp_path / "config.json").write_text(json.dumps({"classes": written}))
    found = classes_of(tmp_path / "model.keras", 2)
    assert found == Classes(("a", "b"), ((1, 2, 3), (4, 5, 6)), 7)
    assert classes_of(tmp_path / "model.keras", 11).names[0] == "class 0"  # Not CamVid's: eleven of what, nobody said.
    assert classes_of(tmp_path / "elsewhere" / "model.keras", 4).names == ("class 0", "class 1", "class 2", "class 3")
    (tmp_path / "config.json").write_text("not json")
    assert len(classes_of(tmp_path / "model.keras", 3)) == 3


def test_classes_of_a_network_of_the_package_are_those_that_it_was_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert classes_of(Path("segnet_edge"), 11) == CAMVID
    monkeypatch.chdir(tmp_path)
    (tmp_path / "segnet_edge").mkdir()  # A model's own folder comes first.
    assert classes_of(Path("segnet_edge"), 11).names[0] == "class 0"
