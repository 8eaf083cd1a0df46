"""Fused batch normalisation against a numpy oracle in float64, and against Keras's."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import batch_normalization

from keras_segnet.layers import BatchNormalization

# One pixel; one row; odd sizes; more channels than pixels.
SHAPES = ((1, 1, 1, 3), (3, 1, 1, 2), (1, 1, 7, 1), (2, 5, 7, 3), (2, 2, 2, 33))
ROUNDING = {"float32": 2e-5, "bfloat16": 2**-7, "float16": 2**-9}


def compiled(function, jit_compile=False):
    return tf.function(function, jit_compile=jit_compile, autograph=False)


def step(layer, x, upstream, wrap=compiled):
    """Output and gradients of one training step, float64 arrays: `(y, dx, dgamma, dbeta)`, as far as there are any."""

    def run(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return [y, *tape.gradient(y, [x, *layer.trainable_variables], upstream)]

    return [np.asarray(tf.cast(t, "float64")) for t in wrap(run)(x, upstream)]


def ops_of(layer, x, **arguments):
    """The kinds of op that the layer is traced to."""
    graph = tf.function(lambda x: layer(x, **arguments), autograph=False).get_concrete_function(x).graph
    return {node.op for node in graph.as_graph_def().node}


def assert_close(actual, expected, rounding):
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=rounding, atol=rounding * scale)


def numbers(shape, dtype, seed=0):
    random = np.random.default_rng(seed)
    x = random.normal(random.uniform(-3, 3, shape[-1]), random.uniform(0.5, 4, shape[-1]), shape)
    return tf.cast(x, dtype), tf.cast(random.normal(size=shape), dtype)


@pytest.mark.parametrize("how", ["graph", "eager", "XLA"])
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_gradients_and_statistics_are_the_oracles(shape, dtype, how):
    wrap = {"graph": compiled, "eager": lambda f: f, "XLA": lambda f: compiled(f, jit_compile=True)}[how]
    x, upstream = numbers(shape, dtype)
    random = np.random.default_rng(1)
    layer = BatchNormalization(
        momentum=0.7, epsilon=1e-5, dtype=dtype if dtype == "float32" else f"mixed_{dtype}", name="renamed"
    )
    layer.build(shape)
    weights = [random.uniform(0.5, 2, shape[-1]).astype("float32") for _ in range(4)]
    layer.set_weights(weights)
    gamma, beta, moving_mean, moving_variance = weights
    y, *gradients = step(layer, x, upstream, wrap)
    as_float32 = (t.numpy().astype("float32") for t in (x, upstream))
    expected_y, mean, variance, *expected_gradients = batch_normalization(*as_float32, gamma, beta, 1e-5)
    assert_close(y, expected_y, ROUNDING[dtype])
    for actual, expected in zip(gradients, expected_gradients, strict=True):
        assert_close(actual, expected, ROUNDING[dtype])
    # Statistics are of float32 in any dtype.
    assert_close(layer.moving_mean.numpy(), 0.7 * moving_mean + 0.3 * mean, 1e-5)
    assert_close(layer.moving_variance.numpy(), 0.7 * moving_variance + 0.3 * variance, 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16", "float16", "bfloat16"])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_a_step_is_keras_own(scale, center, dtype):
    shape = (3, 7, 5, 4)
    x, upstream = numbers(shape, keras.DTypePolicy(dtype).compute_dtype)
    layers = [
        kind(scale=scale, center=center, dtype=dtype, gamma_regularizer="l2", beta_constraint="non_neg")
        for kind in (BatchNormalization, keras.layers.BatchNormalization)
    ]
    ours, kerass = (step(layer, x, upstream) for layer in layers)
    rounding = ROUNDING[layers[0].compute_dtype]
    assert len(ours) == len(kerass) == 2 + scale + center
    for a, b in zip(ours, kerass, strict=True):
        assert_close(a, b, rounding)
    statistics = zip(*(layer.non_trainable_variables for layer in layers), strict=True)
    for a, b in statistics:
        assert a.dtype == b.dtype
        # Averages that are kept in half precision are as coarse.
        assert_close(*(np.asarray(tf.cast(v, "float64")) for v in (a, b)), ROUNDING[a.dtype])
    assert "FusedBatchNormV3" in ops_of(layers[0], x, training=True)


MASKED = {"mask": np.random.default_rng(0).random((2, 4, 6)) > 0.3}
FALLBACKS = {
    "inference": ((2, 4, 6, 4), "float32", {}, {"training": False}),
    "frozen": ((2, 4, 6, 4), "float32", {"trainable": False}, {"training": True}),
    "channels first": ((2, 4, 6, 4), "float32", {"axis": 1}, {"training": True}),
    "rows": ((2, 4, 6, 4), "float32", {"axis": 2}, {"training": True}),
    "vectors": ((6, 4), "float32", {}, {"training": True}),
    "sequences": ((2, 6, 4), "float32", {}, {"training": True}),
    "volumes": ((2, 3, 4, 6, 4), "float32", {}, {"training": True}),
    "mask": ((2, 4, 6, 4), "float32", {}, {"training": True, **MASKED}),
    "synchronized": ((2, 4, 6, 4), "float32", {"synchronized": True}, {"training": True}),
    "renorm": ((2, 4, 6, 4), "float32", {"renorm": True}, {"training": True}),
    "float64": ((2, 4, 6, 4), "float64", {"dtype": "float64"}, {"training": True}),
    "float32 to bfloat16": (
        (2, 4, 6, 4),
        "float32",
        {"dtype": "mixed_bfloat16", "autocast": False},
        {"training": True},
    ),
}


@pytest.mark.parametrize("case", FALLBACKS)
def test_elsewhere_it_is_keras_own_computation(case):
    shape, dtype, settings, arguments = FALLBACKS[case]
    x = numbers(shape, dtype)[0]
    ours, kerass = (kind(**settings) for kind in (BatchNormalization, keras.layers.BatchNormalization))
    np.testing.assert_array_equal(*(np.asarray(tf.cast(layer(x, **arguments), "float64")) for layer in (ours, kerass)))
    for a, b in zip(ours.get_weights(), kerass.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "FusedBatchNormV3" not in ops_of(ours, x, **arguments)


def network(layer=BatchNormalization):
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            keras.layers.Conv2D(3, 3, padding="same"),
            layer(momentum=0.8, epsilon=1e-5, name="bn"),
            keras.layers.ReLU(),
            keras.layers.Conv2D(2, 1, dtype="float32"),
        ]
    )


def fitted(layer, jit_compile=False):
    """Losses of some steps, and the model's weights after them."""
    model = network(layer)
    model.compile("sgd", "mse", jit_compile=jit_compile)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(12, 6, 5, 2)), random.normal(size=(12, 6, 5, 2))
    history = model.fit(x, y, 4, epochs=3, shuffle=False, verbose=0)
    return history.history["loss"], model.get_weights()


@pytest.mark.parametrize(
    ("policy", "jit_compile", "rounding"),
    [
        ("float32", False, 1e-4),
        ("mixed_bfloat16", False, 2e-2),
        ("mixed_bfloat16", True, 2e-2),
        ("mixed_float16", False, 5e-3),
    ],
)
def test_training_is_keras_own(policy, jit_compile, rounding):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        ours, kerass = (fitted(kind, jit_compile) for kind in (BatchNormalization, keras.layers.BatchNormalization))
    finally:
        keras.config.set_dtype_policy(before)
    np.testing.assert_allclose(ours[0], kerass[0], rtol=rounding)
    for a, b in zip(ours[1], kerass[1], strict=True):
        assert_close(a, b, rounding)


def test_each_device_of_a_strategy_has_its_own_statistics():
    script = """
import json, keras, tensorflow as tf
import test_batch_normalization as here
cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
found = []
for layer in (here.BatchNormalization, keras.layers.BatchNormalization):
    reduction = tf.distribute.ReductionToOneDevice()
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=reduction).scope():
        losses, weights = here.fitted(layer)
    found.append([losses, *(w.tolist() for w in weights)])
print(json.dumps(found))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(
        [sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    for a, b in zip(*json.loads(said.splitlines()[-1]), strict=True):
        assert_close(np.array(a), np.array(b), 1e-4)


def test_it_saves_and_loads_as_one(tmp_path):
    model = network()
    layer = model.get_layer("bn")
    assert isinstance(layer, keras.layers.BatchNormalization)
    assert keras.saving.get_registered_name(BatchNormalization) == "keras_segnet>BatchNormalization"
    assert [v.name for v in layer.variables] == ["gamma", "beta", "moving_mean", "moving_variance"]
    layer.set_weights([np.random.default_rng(i).uniform(0.5, 2, 3) for i in range(4)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("bn")) is BatchNormalization
    assert loaded.get_layer("bn").get_config() == layer.get_config()
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype("float32")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_files_of_keras_own_layer_load_and_run(tmp_path):
    old = network(keras.layers.BatchNormalization)
    old.save(tmp_path / "old.keras")
    old.save_weights(tmp_path / "old.weights.h5")
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 2)).astype("float32")
    loaded = keras.models.load_model(tmp_path / "old.keras")
    assert type(loaded.get_layer("bn")) is keras.layers.BatchNormalization
    np.testing.assert_array_equal(loaded(x), old(x))
    new = network()
    new.set_weights([w + 1 for w in new.get_weights()])
    new.load_weights(tmp_path / "old.weights.h5")
    np.testing.assert_array_equal(new(x), old(x))


def test_it_learns_at_sizes_that_are_known_only_at_run_time():
    image = keras.Input((None, None, 2))
    model = keras.Model(image, BatchNormalization()(image))
    for size in ((1, 1), (3, 8)):
        x = np.random.default_rng(0).normal(5, 2, size=(2, *size, 2)).astype("float32")
        y = model(x, training=True)
        np.testing.assert_allclose(np.mean(y, axis=(0, 1, 2)), [0, 0], atol=1e-5)
