"""Against answers of tensorflow-addons itself; tests/layers/addons/make_vectors.py wrote them."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf

from keras_segnet.errors import InputError
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.migration import (
    AddonsMaxUnpooling2D,
    AddonsMaxUnpooling2DV2,
    SizedMaxUnpooling2D,
    load_addons_model,
)

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


# Cases of the kinds that tensorflow-addons tests: masks in floats, positions outside their windows, any strides.


@pytest.mark.parametrize(
    ("options", "rows", "columns", "size"),
    [
        ({}, 1, 2, (2, 4)),
        ({"strides": (2, 1)}, 2, 2, (4, 2)),
        ({"strides": (2, 3)}, 2, 4, (4, 12)),
        ({"strides": (2, 3), "padding": "VALID"}, 2, 4, (4, 11)),
        ({"strides": (4, 4)}, 1, 1, (4, 4)),
        ({"pool_size": (2, 3), "padding": "VALID"}, 2, 2, (4, 5)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_any_positions_and_strides(options, rows, columns, size, dtype):
    random = np.random.default_rng(0)
    updates = random.normal(size=(2, rows, columns, 2)).astype("float32")
    places = [[random.permutation(np.prod(size))[: rows * columns] for _ in range(2)] for _ in range(2)]
    mask = np.moveaxis(np.reshape(places, (2, 2, rows, columns)), 1, -1) * 2 + np.arange(2)
    expected = oracles.scatter(updates, mask, size)
    np.testing.assert_array_equal(AddonsMaxUnpooling2D(**options)(updates, mask.astype(dtype)), expected)
    told_the_size = AddonsMaxUnpooling2DV2((2, *size, 2))
    np.testing.assert_array_equal(told_the_size(updates, mask.astype(dtype)), expected)
    again = keras.layers.deserialize(keras.layers.serialize(told_the_size))
    np.testing.assert_array_equal(again(updates, mask=mask.astype(dtype)), expected)


def test_strides_larger_than_the_pool_leave_gaps():
    x = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    pooled, mask = tf.nn.max_pool_with_argmax(x, 2, 4, "SAME")
    unpooled = AddonsMaxUnpooling2D(strides=(4, 4))(pooled, mask).numpy().ravel()
    assert unpooled.tolist() == [5 if place == 5 else 0 for place in range(16)]


def test_an_output_of_another_rank_is_refused():
    with pytest.raises(ValueError, match="output_size must be"):
        AddonsMaxUnpooling2DV2((4, 4))


@pytest.mark.parametrize("name", ["direct.h5", "own_layer.h5"])
def test_a_file_whose_unpooling_is_told_the_size_gives_its_output(name, vectors, tmp_path):
    path = shutil.copy(ADDONS / name, tmp_path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layer = next(layer for layer in config["config"]["layers"] if "MaxUnpooling2D" in layer["class_name"])
        layer["class_name"] = "Addons>MaxUnpooling2DV2"
        settings = {key: layer["config"][key] for key in ("name", "trainable", "dtype")}
        layer["config"] = {**settings, "output_size": [2, 8, 12, 4]}
        file.attrs["model_config"] = json.dumps(config)
    model = load_addons_model(path, OWN_LAYERS)
    np.testing.assert_allclose(model(vectors["model/image"]), vectors["model/output"], atol=1e-6)
    model.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(again(vectors["model/image"]), model(vectors["model/image"]))


# The older Keras SegNets.


class FloatMaskPooling(keras.layers.Layer):
    """As they have it: the positions in floats."""

    def __init__(self, pool_size=(2, 2), strides=(2, 2), padding="same", **kwargs):
        super().__init__(**kwargs)
        self.pool_size, self.strides, self.padding = pool_size, strides, padding

    def call(self, x):
        pooled, mask = tf.nn.max_pool_with_argmax(x, self.pool_size, self.strides, self.padding.upper())
        return pooled, tf.cast(mask, "float32")

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }


class ListUnpooling(keras.layers.Layer):
    """As they have it: `size`, and both tensors in one list."""

    def __init__(self, size=(2, 2), **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs):
        updates, mask = inputs
        batch, height, width, channels = keras.ops.shape(updates)
        elements = height * self.size[0] * width * self.size[1] * channels
        places = tf.cast(mask, "int32") + elements * tf.reshape(tf.range(batch), (-1, 1, 1, 1))
        flat = tf.scatter_nd(tf.reshape(places, (-1, 1)), tf.reshape(updates, (-1,)), [batch * elements])
        return tf.reshape(flat, (-1, height * self.size[0], width * self.size[1], channels))

    def compute_output_shape(self, shapes):
        batch, height, width, channels = shapes[0]
        return batch, height * self.size[0], width * self.size[1], channels

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_files_of_the_older_keras_segnets_load(suffix, tmp_path):
    image = keras.Input((8, 12, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(image)
    x, mask = FloatMaskPooling()(x)
    x = keras.layers.Conv2D(4, 3, padding="same")(x)
    x = ListUnpooling((2, 2))([x, mask])
    theirs = keras.Model(image, keras.layers.Conv2D(2, 1, activation="softmax")(x))
    theirs.save(tmp_path / f"old{suffix}")
    own = {"FloatMaskPooling": MaxPoolingWithArgmax2D, "ListUnpooling": SizedMaxUnpooling2D}
    model = keras.models.load_model(tmp_path / f"old{suffix}", custom_objects=own, compile=False)
    pixels = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype("float32")
    np.testing.assert_allclose(model(pixels), theirs(pixels), atol=1e-6)
    model.save(tmp_path / "new.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "new.keras")(pixels), model(pixels))
