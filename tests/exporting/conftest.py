"""A network whose labels mean something, since those of random weights are decided by rounding."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_segnet import build_segnet_basic
from keras_segnet.data import street_scenes, training_batches
from keras_segnet.losses import WeightedCrossentropy
from keras_segnet.optimizers import ConvolutionMuon
from keras_segnet.streets import draw_street_scene


@pytest.fixture(scope="session")
def streets() -> list[np.ndarray]:
    return [draw_street_scene(seed, (45, 61))[0] for seed in range(8)]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> keras.Model:
    """SegNet-Basic of 11 classes at 45x61. The processes that tests run in share it: the first to need it trains it."""
    base = tmp_path_factory.getbasetemp()
    path = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained.keras"
    if not path.is_file():
        train(base / "trained.keras")
        os.replace(base / "trained.keras", path)
    return keras.models.load_model(path, compile=False)


def train(path: Path) -> None:
    keras.utils.set_random_seed(0)
    scenes = street_scenes("train", count=32, size=(45, 61))
    model = build_segnet_basic(11, (45, 61, 3), width=0.25, preprocessing="imagenet")
    schedule = keras.optimizers.schedules.CosineDecay(5e-3, 80)
    model.compile(ConvolutionMuon(schedule), WeightedCrossentropy(11, ignore_class=scenes.classes.ignored))
    model.fit(training_batches(scenes, 8, (45, 61), None), epochs=20, verbose=0)
    model.save(path)
