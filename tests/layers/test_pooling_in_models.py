"""Pooling and unpooling in models: announced shapes, files, training."""

import subprocess
import sys

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from pooling_cases import (
    assert_equal,
    run,
)

from keras_segnet.layers import (
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
)


@pytest.mark.parametrize(
    ("size", "padding", "pooled", "unpooled"),
    [
        ((45, 61), "same", (23, 31), (46, 62)),
        ((45, 61), "valid", (22, 30), (44, 60)),
        ((8, 6), "same", (4, 3), (8, 6)),
        ((None, 61), "same", (None, 31), (None, 62)),
        ((None, None), "valid", (None, None), (None, None)),
    ],
)
def test_symbolic_shapes_are_as_exact_as_the_input_is(size, padding, pooled, unpooled):
    x = keras.Input((*size, 3))
    values, indices = MaxPoolingWithArgmax2D(padding=padding)(x)
    assert values.shape == indices.shape == (None, *pooled, 3)
    assert indices.dtype == "int8"
    assert MaxUnpooling2D(padding=padding)(values, indices).shape == (None, *unpooled, 3)
    assert MaxUnpooling2D(padding=padding)(values, indices, like=x).shape == (None, *size, 3)


def pooling_model(input_shape, pool_size=2):
    x = image = keras.Input(input_shape)
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="before")(x)
    pooled, indices = MaxPoolingWithArgmax2D(pool_size, name="pool")(x)
    values = keras.layers.Conv2D(4, 3, padding="same", name="middle")(pooled)
    unpooled = MaxUnpooling2D(pool_size, name="unpool")(values, indices, like=x)
    return keras.Model(image, keras.layers.Conv2D(2, 3, padding="same", name="after")(unpooled))


def sub_model(model, *tensors):
    return keras.Model(model.input, list(tensors))


@pytest.mark.parametrize("size", [(5, 7), (4, 6), (1, 1)])
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_a_model_of_unknown_size_takes_any_size(size, mode):
    model = pooling_model((None, None, 3))
    model = sub_model(
        model, model.get_layer("before").output, model.get_layer("middle").output, model.get_layer("unpool").output
    )
    image = np.random.default_rng(1).normal(size=(2, *size, 3)).astype("float32")
    before, values, unpooled = run(mode, model, image)
    positions = oracles.max_pool(before, (2, 2), (2, 2), "same")[2]
    assert_equal(unpooled, oracles.scatter(values, positions, size))


def test_a_saved_model_gives_equal_outputs_in_a_new_process(tmp_path):
    fixed, dynamic = pooling_model((6, 6, 3), 3), pooling_model((None, None, 3))
    x = np.random.default_rng(2).normal(size=(2, 6, 6, 3)).astype("float32")
    odd = np.random.default_rng(3).normal(size=(2, 5, 7, 3)).astype("float32")
    np.savez(tmp_path / "inputs.npz", x=x, odd=odd)
    fixed.save(tmp_path / "fixed.keras")
    dynamic.save(tmp_path / "dynamic.keras")
    program = """
import sys
import keras, keras_segnet, numpy as np
folder = sys.argv[1]
inputs = np.load(f"{folder}/inputs.npz")
fixed, dynamic = (keras.models.load_model(f"{folder}/{name}.keras") for name in ("fixed", "dynamic"))
np.savez(f"{folder}/outputs.npz", fixed=fixed(inputs["x"]), dynamic=dynamic(inputs["x"]), odd=dynamic(inputs["odd"]))
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)
    outputs = np.load(tmp_path / "outputs.npz")
    assert_equal(outputs["fixed"], fixed(x).numpy())
    assert_equal(outputs["dynamic"], dynamic(x).numpy())
    assert_equal(outputs["odd"], dynamic(odd).numpy())


@pytest.fixture
def nondeterministic():
    """Undoes what training runs of other tests switched on for the whole process: under it, Keras compiles nothing."""
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    config.disable_op_determinism()
    yield
    if before:
        config.enable_op_determinism()


@pytest.mark.filterwarnings("error:Model doesn't support")
@pytest.mark.parametrize(
    ("jit_compile", "input_shape"),
    [
        (False, (5, 7, 3)),
        (True, (6, 8, 3)),
        (True, (5, 7, 3)),
        (True, (None, None, 3)),
        ("auto", (None, None, 3)),
    ],
)
def test_a_model_trains_whatever_jit_compile_is(jit_compile, input_shape, nondeterministic):
    keras.utils.set_random_seed(3)
    random = np.random.default_rng(0)
    x = random.normal(size=(8, *(n or 5 for n in input_shape[:2]), 3)).astype("float32")
    labels = (x.sum(axis=-1) > 0).astype("int32")
    model = pooling_model(input_shape)
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    # TensorFlow's kernels train faster, so XLA is taken only by who asks for it.
    assert model.jit_compile is (jit_compile is True)
    losses = model.fit(x, labels, batch_size=8, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]
    assert model.evaluate(x, labels, verbose=0) < losses[0]
    assert model.predict(x, verbose=0).shape == (*labels.shape, 2)


@pytest.mark.parametrize("input_shape", [(6, 8, 3), (5, 7, 3), (None, None, 3)], ids=["whole", "odd", "dynamic"])
def test_a_step_of_training_is_the_same_with_and_without_xla(input_shape):
    x = np.random.default_rng(0).normal(size=(4, *(n or 5 for n in input_shape[:2]), 3)).astype("float32")
    labels = (x.sum(axis=-1) > 0).astype("int32")
    weights = []
    for jit_compile in (False, True):
        keras.utils.set_random_seed(3)
        model = pooling_model(input_shape)
        model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.optimizer.build(model.trainable_variables)
        before = model.get_weights()
        tf.function(model.train_step, jit_compile=jit_compile)((x, labels))
        weights.append(model.get_weights())
        assert all((new != old).any() for new, old in zip(weights[-1], before, strict=True))
    for without, compiled in zip(*weights, strict=True):
        np.testing.assert_allclose(compiled, without, atol=1e-6)
