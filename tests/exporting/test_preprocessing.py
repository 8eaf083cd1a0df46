"""Every input normalisation leaves with its network."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_segnet.exporting import to_onnx, to_tflite
from keras_segnet.models import blocks

SIZE = (17, 22)


@pytest.mark.parametrize("preprocessing", blocks.PREPROCESSING)
def test_files_normalise_as_the_model_does(preprocessing: str | None, tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    image = blocks.image_input((*SIZE, 3))
    x = blocks.convolution(blocks.normalize_colours(image, preprocessing), 4, 3, "conv1")
    model = keras.Model(image, blocks.probabilities(blocks.scores(x, 3, "classifier"), "softmax"), name="tiny")
    images = list(np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8))
    for write, name in ((to_tflite, "tiny.tflite"), (to_onnx, "tiny.onnx")):
        assert write(model, tmp_path / name, images=images).passed
