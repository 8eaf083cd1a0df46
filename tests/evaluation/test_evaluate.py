"""`keras_segnet.evaluate` against counting by hand, and how its result shows itself."""

import json

import numpy as np
import pytest

import keras_segnet
from keras_segnet.data import Classes
from keras_segnet.data.dataset import Example, SegmentationDataset
from keras_segnet.errors import InputError
from keras_segnet.evaluation.boundary import boundary_f1, image_score
from keras_segnet.inference import Segmenter
from keras_segnet.progress import Display

CLASSES = Classes(("road", "<sky>", "car"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)), ignored=255)


class Drawn(SegmentationDataset):
    """Images of several sizes, whose red is the class that `Red` sees."""

    name, classes = "drawn", CLASSES

    def __len__(self):
        return 11

    def __getitem__(self, index):
        random = np.random.default_rng(index)
        image = random.integers(0, 3, (5 + index % 3, 8, 3), np.uint8)
        label = np.where(random.random(image.shape[:2]) < 0.7, image[..., 0], random.choice([0, 1, 255]))
        return Example(image, label.astype(np.uint8))


class Red(Segmenter):
    num_classes, input_size, batch_size = 3, None, 4

    def run(self, images):
        return np.eye(3, dtype=np.float32)[images[..., 0]]


def test_evaluate_counts_every_pixel_once(tmp_path):
    data = Drawn()
    found = keras_segnet.evaluate(Red(), data, boundary=True, display=Display())
    counts = np.zeros((3, 3), int)
    for index in range(len(data)):
        for true, predicted in zip(data[index].label.ravel(), data[index].image[..., 0].ravel(), strict=True):
            if true != 255:
                counts[true, predicted] += 1
    np.testing.assert_array_equal(found.matrix.counts, counts)
    assert found.scores.global_accuracy == pytest.approx(np.trace(counts) / counts.sum())
    for definition, score in found.boundary.items():
        images = [
            image_score(boundary_f1(each.label, each.image[..., 0], 3, 255, definition), definition)
            for each in (data[index] for index in range(len(data)))
        ]
        assert score == pytest.approx(np.nanmean(images))
    assert set(found.boundary) == {"released", "csurka"} and "BF (released)" in found.one_line()
    found.save(tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text())["boundary_f1"] == pytest.approx(found.boundary)
    assert "Red on drawn" in found._repr_html_() and "&lt;sky&gt;" in found._repr_html_()
    assert "boundary_f1" not in keras_segnet.evaluate(Red(), data, display=Display()).as_json()


def test_a_model_of_other_classes_is_refused():
    model = Red()
    model.num_classes = 4
    with pytest.raises(InputError, match="predicts 4 classes and drawn has 3"):
        keras_segnet.evaluate(model, Drawn(), display=Display())
