"""Against answers of tensorflow-addons itself; tests/layers/addons/make_vectors.py wrote them."""

import json
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_segnet.errors import InputError
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.migration import load_addons_model

ADDONS = Path(__file__).parent / "layers" / "addons"
SETTINGS = json.loads((ADDONS / "settings.json").read_text())
FILES = ("direct.h5", "direct.keras", "saved_model", "own_layer.h5")
OWN_LAYERS = {"MaxPoolingWithArgmax2D": MaxPoolingWithArgmax2D}

every_case = pytest.mark.parametrize("name", SETTINGS)
every_file = pytest.mark.parametrize("name", FILES)


@pytest.fixture(scope="module")
def vectors():
    return np.load(ADDONS / "vectors.npz")


def unpool(layer, updates, mask, upstream):
    with tf.GradientTape() as tape:
        tape.watch(updates)
        unpooled = layer(updates, mask)
    return unpooled, tape.gradient(unpooled, updates, upstream)


@every_case
@pytest.mark.parametrize("jit_compile", [None, False, True], ids=["eager", "graph", "xla"])
def test_the_layer_answers_their_masks_as_theirs_did(name, jit_compile, vectors):
    updates, mask, upstream = (tf.constant(vectors[f"{name}/{key}"]) for key in ("updates", "mask", "upstream"))
    layer = MaxUnpooling2D(**SETTINGS[name])

    def function(*tensors):
        return unpool(layer, *tensors)

    if jit_compile is not None:
        function = tf.function(function, jit_compile=jit_compile)
    unpooled, gradient = function(updates, mask, upstream)
    # Where windows overlap, several updates meet in one sum, whose order is free.
    np.testing.assert_allclose(unpooled, vectors[f"{name}/unpooled"], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(gradient, vectors[f"{name}/gradient"])


@every_case
def test_their_mask_is_what_the_pooling_layer_gives(name, vectors):
    _, indices = MaxPoolingWithArgmax2D(**SETTINGS[name], encoding="flat")(vectors[f"{name}/x"])
    assert indices.dtype == tf.int32
    np.testing.assert_array_equal(indices, vectors[f"{name}/mask"])


@every_case
def test_a_config_with_the_old_name_makes_the_layer(name, vectors):
    config = {"class_name": "Addons>MaxUnpooling2D", "config": {"name": "unpool", **SETTINGS[name]}}
    layer = keras.layers.deserialize(config)
    unpooled = layer(vectors[f"{name}/updates"], mask=vectors[f"{name}/mask"])
    np.testing.assert_allclose(unpooled, vectors[f"{name}/unpooled"], rtol=1e-6, atol=1e-6)


@every_file
def test_their_files_load_and_give_their_output(name, vectors, tmp_path):
    model = load_addons_model(ADDONS / name, OWN_LAYERS)
    np.testing.assert_allclose(model(vectors["model/image"]), vectors["model/output"], atol=1e-6)
    model.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(again(vectors["model/image"]), model(vectors["model/image"]))


def test_keras_itself_loads_an_h5_file_whose_pooling_is_a_layer(vectors):
    model = keras.models.load_model(ADDONS / "own_layer.h5", custom_objects=OWN_LAYERS, compile=False)
    np.testing.assert_allclose(model(vectors["model/image"]), vectors["model/output"], atol=1e-6)


def test_a_loaded_model_trains(vectors):
    model = load_addons_model(ADDONS / "direct.h5")
    model.compile(keras.optimizers.Adam(0.05), "mse")
    target = np.zeros_like(vectors["model/output"])
    losses = model.fit(vectors["model/image"], target, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def rewritten(tmp_path, change):
    """A copy of direct.keras whose config was changed."""
    path = tmp_path / "changed.keras"
    with zipfile.ZipFile(ADDONS / "direct.keras") as old, zipfile.ZipFile(path, "w") as new:
        config = json.loads(old.read("config.json"))
        change(config)
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    return path


def layer_of(config, class_name):
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == class_name)


def with_another_function(config):
    layer_of(config, "TFOpLambda")["config"]["function"] = "math.sin"


def with_batch_in_index(config):
    layer_of(config, "TFOpLambda")["inbound_nodes"][0][3]["include_batch_in_index"] = True


def as_a_sequence(config):
    config["class_name"] = "Sequential"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_another_function, "TensorFlow function 'math.sin'"),
        (with_batch_in_index, "include_batch_in_index"),
        (as_a_sequence, "holds a Sequential"),
    ],
)
def test_a_model_that_cannot_be_read_is_refused_by_what_is_in_it(change, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load_addons_model(rewritten(tmp_path, change))


def test_files_that_are_no_models_of_keras_2_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_addons_model(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InputError, match=r"text\.h5 is not a model that Keras 2 saved"):
        load_addons_model(tmp_path / "text.h5")
    with pytest.raises(InputError, match="is not a model that Keras 2 saved"):
        load_addons_model(tmp_path)
    shutil.copy(ADDONS / "own_layer.h5", tmp_path / "own.h5")
    with pytest.raises(InputError, match="MaxPoolingWithArgmax2D"):
        load_addons_model(tmp_path / "own.h5")
