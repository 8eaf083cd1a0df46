"""A training that starts from a trained model."""

from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_segnet.data.dataset import Classes
from keras_segnet.errors import InputError
from keras_segnet.models import NETWORKS, build
from keras_segnet.models.trained import weights_of
from keras_segnet.training.configuration import WEIGHTS, RunConfig
from keras_segnet.training.network import build_network


def config(weights, **options) -> RunConfig:
    settings = {"model": "segnet_edge", "width": 0.125, "input_size": (48, 64), "precision": "float32", **options}
    return RunConfig("streets", weights=str(weights), **settings)


def classes(number) -> Classes:
    return Classes(tuple(f"class {i}" for i in range(number)), tuple((i, i, i) for i in range(number)))


@pytest.fixture
def trained(tmp_path) -> Path:
    keras.utils.set_random_seed(3)
    path = tmp_path / "trained.keras"
    build("segnet_edge", 4, (24, 32, 3), width=0.125).save(path)
    return path


def test_a_run_starts_from_a_model_of_another_size(trained):
    expected = weights_of(keras.models.load_model(trained))
    found = weights_of(build_network(config(trained), classes(4)))
    assert found.keys() == expected.keys()
    for path, value in found.items():
        np.testing.assert_array_equal(value, expected[path], err_msg=path)


def test_its_classifier_starts_anew_for_other_classes(trained):
    expected = weights_of(keras.models.load_model(trained))
    found = weights_of(build_network(config(trained), classes(5)))
    assert {path for path, value in found.items() if not np.array_equal(value, expected[path])} == {
        "classifier/kernel",
        "classifier/bias",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.25}, r"'stem/kernel' of segnet_edge, which takes \(3, 3, 3, 4\)"),
        ({"preprocessing": "lrn"}, "begins with a layer Normalization, segnet_edge with LocalResponseNorm"),
        ({"model": "unet"}, "unet, which takes"),
    ],
)
def test_a_model_of_another_network_is_refused(trained, options, message):
    with pytest.raises(InputError, match=message) as refused:
        build_network(config(trained, **options), classes(4))
    assert str(trained) in str(refused.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("segnet_edge", "camvid")),
        ({"weights": "auto"}, ("segnet_edge", "camvid")),
        ({"weights": "none"}, ("segnet_edge", None)),
        ({"weights": None}, ("segnet_edge", None)),
        ({"width": 0.5}, ("segnet_edge", None)),
        ({"preprocessing": "lcn"}, ("segnet_edge", None)),
        ({"width": 0.5, "weights": "camvid"}, ("segnet_edge", "camvid")),  # Asked for: refused when it is built.
        ({"model": "segnet_basic"}, ("segnet_basic", "camvid")),
        ({"model": "segnet"}, ("segnet", None)),
        ({"recipe": "modern"}, ("segnet_edge", "camvid")),
        ({"recipe": "paper"}, ("segnet", None)),
        ({"recipe": "paper", "weights": "none"}, ("segnet", None)),
        ({"recipe": "paper", "model": "segnet_basic"}, ("segnet_basic", None)),
        ({"recipe": "paper", "weights": "imagenet"}, ("segnet", "imagenet")),
    ],
)
def test_a_run_starts_from_what_fits_unless_it_is_told_otherwise(given, expected):
    config = RunConfig.of(data="streets", **given)
    assert (config.model, config.weights) == expected
    # What config.json holds means the same when it is read.
    assert RunConfig(**asdict(config)) == config
    if given.get("recipe") == "paper":
        assert config.preprocessing == ("imagenet" if config.weights else "lcn")


def test_every_start_by_itself_is_one_that_the_network_takes():
    for name in NETWORKS:
        config = RunConfig.of(data="streets", model=name, input_size=(32, 40), precision="float32")
        assert (config.weights is not None) == bool(NETWORKS[name].trained_on)
        if config.weights is not None:
            build_network(config, classes(3))
            assert set(NETWORKS[name].trained_on) <= set(WEIGHTS)


@pytest.mark.parametrize("weights", ["camvdi", "Camvid", "weights.h5", "", "x" * 9999])
def test_other_names_of_weights_are_refused_by_the_configuration(weights):
    with pytest.raises(InputError, match=r"`weights` must be auto, none, camvid, imagenet or the path of an \.npz or"):
        RunConfig.of(data="streets", weights=weights)


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.keras does not exist; a \.keras file is expected"):
        build_network(config(tmp_path / "nowhere.keras"), classes(4))
