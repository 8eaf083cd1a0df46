import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from logits_oracle import WEIGHTS, draw_logits, expected_gradient, gradient_in_fit

import keras_segnet
from keras_segnet.layers import Softmax
from keras_segnet.losses import WeightedCrossentropy

NORMALIZATIONS = ("valid_pixels", "weights", "sum")
every_normalization = pytest.mark.parametrize("normalization", NORMALIZATIONS)


def oracle(labels, probabilities, weights, ignored, normalization, sample_weight=1.0):
    """Pixel by pixel, in float64."""
    total, valid, weight_sum = 0.0, 0, 0.0
    sample_weight = np.broadcast_to(sample_weight, labels.shape)
    for place in np.ndindex(labels.shape):
        y = labels[place]
        if y == ignored:
            continue
        p = probabilities[place].astype(np.float64)
        total += sample_weight[place] * weights[y] * -np.log(p[y] / p.sum())
        valid += 1
        weight_sum += weights[y]
    divisor = {"valid_pixels": valid, "weights": weight_sum, "sum": 1}[normalization]
    return total / divisor if divisor else 0.0


def draw_batch(seed, classes, ignored, shape=(2, 3, 4)):
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2, size=(*shape, classes)).astype("float32")
    values = [*range(classes)] + ([] if ignored is None else [ignored] * 3)
    return random.choice(values, shape).astype("int32"), logits


def softmax(logits):
    exponents = np.exp(logits.astype(np.float64))
    return (exponents / exponents.sum(axis=-1, keepdims=True)).astype(logits.dtype)


@every_normalization
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**16),
    classes=st.integers(2, 11),
    ignored=st.sampled_from([11, 255, -1, None]),
    from_logits=st.booleans(),
    rank_4=st.booleans(),
    weighted=st.booleans(),
    pixel_weights=st.sampled_from([None, (2, 3, 4), (2, 1, 1), (1, 3, 4)]),
)
def test_it_is_the_weighted_mean_over_valid_pixels(
    normalization, seed, classes, ignored, from_logits, rank_4, weighted, pixel_weights
):
    labels, logits = draw_batch(seed, classes, ignored)
    random = np.random.default_rng(seed + 1)
    weights = random.uniform(0.1, 9, classes) if weighted else None
    sample_weight = None if pixel_weights is None else random.uniform(0, 2, pixel_weights).astype("float32")
    loss = WeightedCrossentropy(classes, weights, ignored, from_logits, normalization)
    actual = loss(
        labels[..., None] if rank_4 else labels, logits if from_logits else softmax(logits), sample_weight=sample_weight
    )
    expected = oracle(
        labels,
        softmax(logits),
        np.ones(classes) if weights is None else weights,
        ignored,
        normalization,
        1.0 if sample_weight is None else sample_weight,
    )
    assert actual.shape == ()
    assert actual.dtype == tf.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


def test_a_hand_written_answer():
    labels = np.array([[[0, 1, 9]]])
    probabilities = np.array([[[[0.5, 0.5], [0.75, 0.25], [0.9, 0.1]]]], "float32")
    weighted_sum = 2 * np.log(2) + 3 * np.log(4)
    for normalization, divisor in (("valid_pixels", 2), ("weights", 5), ("sum", 1)):
        loss = WeightedCrossentropy(2, [2, 3], ignore_class=9, normalization=normalization)
        np.testing.assert_allclose(loss(labels, probabilities), weighted_sum / divisor, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_labels_may_have_any_dtype_that_holds_them(dtype):
    labels, logits = draw_batch(1, 3, 255)
    actual = WeightedCrossentropy(3, ignore_class=255, from_logits=True)(labels.astype(dtype), logits)
    np.testing.assert_allclose(actual, oracle(labels, softmax(logits), np.ones(3), 255, "valid_pixels"), rtol=1e-5)


@every_normalization
@pytest.mark.parametrize("from_logits", [True, False])
def test_a_batch_without_a_valid_pixel_has_loss_0_and_gradient_0(normalization, from_logits):
    labels, logits = draw_batch(2, 3, None)
    predictions = tf.constant(logits if from_logits else softmax(logits))
    loss = WeightedCrossentropy(3, None, 255, from_logits, normalization)
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        value = loss(np.full_like(labels, 255), predictions)
    assert value.numpy() == 0
    np.testing.assert_array_equal(tape.gradient(value, predictions), np.zeros(predictions.shape))


@every_normalization
def test_a_batch_of_classes_of_weight_0_has_loss_0(normalization):
    _, logits = draw_batch(2, 3, None)
    loss = WeightedCrossentropy(3, [0, 1, 1], from_logits=True, normalization=normalization)
    assert loss(np.zeros((2, 3, 4), "int32"), logits).numpy() == 0


def test_an_impossible_prediction_has_a_finite_loss():
    certain = np.array([[[[1.0, 0.0]]]], "float32")
    value = WeightedCrossentropy(2)(np.array([[[1]]]), certain).numpy()
    assert 10 < value < 100


LAST_LAYERS = {
    "ours": lambda: Softmax(dtype="float32"),
    "Keras's activation": lambda: keras.layers.Activation("softmax", dtype="float32"),
    "logits": lambda: keras.layers.Activation("linear", dtype="float32"),
}


@pytest.mark.parametrize("largest", [5, 50, 500])
@pytest.mark.parametrize("last", LAST_LAYERS)
@pytest.mark.parametrize("way", ["plain", "XLA", "eager", "saved"])
def test_its_gradient_is_that_of_logits_however_sure_the_network_is(way, last, largest, tmp_path):
    logits = draw_logits(largest)
    loss = WeightedCrossentropy(3, WEIGHTS, 255, from_logits=last == "logits", normalization="sum")
    options = {"jit_compile": way == "XLA", "run_eagerly": way == "eager"}
    path = tmp_path / "model.keras" if way == "saved" else None
    found = gradient_in_fit(logits, LAST_LAYERS[last](), loss, path, **options)
    np.testing.assert_allclose(found, expected_gradient(logits), rtol=1e-4, atol=1e-4)


def test_its_gradient_is_that_of_logits_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        logits = draw_logits(500)
        loss = WeightedCrossentropy(3, WEIGHTS, 255, normalization="sum")
        found = gradient_in_fit(logits, Softmax(dtype="float32"), loss)
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(found, expected_gradient(logits), rtol=0.03, atol=1e-2)


def test_a_network_learns_from_pixels_that_it_is_most_wrong_about():
    """The first step of a network whose scores are a thousand apart, against automatic differentiation of logits."""
    steps = []
    for activation in ("softmax", None):
        keras.utils.set_random_seed(2)
        model = keras_segnet.build_segnet_basic(3, (8, 8, 3), width=0.05, classifier_activation=activation)
        kernel = model.get_layer("conv_classifier").kernel
        kernel.assign(1000 * kernel)
        model.compile(keras.optimizers.SGD(1.0), WeightedCrossentropy(3, from_logits=activation is None))
        before = keras.ops.convert_to_numpy(kernel)
        labels = np.random.default_rng(3).integers(0, 3, (2, 8, 8))
        model.fit(np.random.default_rng(4).uniform(0, 255, (2, 8, 8, 3)), labels, verbose=0)
        steps.append(keras.ops.convert_to_numpy(kernel) - before)
    assert np.abs(steps[0]).max() > 1e-3
    np.testing.assert_allclose(*steps, rtol=1e-2, atol=1e-3)


@every_normalization
@pytest.mark.parametrize("from_logits", [True, False])
def test_its_gradient_is_the_finite_difference(normalization, from_logits):
    labels, logits = draw_batch(3, 3, 11, shape=(1, 2, 3))
    labels[0, 0, 0], labels[0, 0, 1] = 11, 2
    weights = [0.5, 2.0, 3.0]
    predictions = logits if from_logits else softmax(logits)
    loss = WeightedCrossentropy(3, weights, 11, from_logits, normalization)
    with tf.GradientTape() as tape:
        variable = tf.Variable(predictions)
        value = loss(labels, variable)
    gradient = tape.gradient(value, variable).numpy()

    def value_at(predictions):
        return oracle(labels, softmax(predictions) if from_logits else predictions, weights, 11, normalization)

    step = 1e-6
    for place in np.ndindex(predictions.shape):
        above, below = (predictions.astype("float64") for _ in range(2))
        above[place] += step
        below[place] -= step
        difference = (value_at(above) - value_at(below)) / (2 * step)
        np.testing.assert_allclose(gradient[place], difference, rtol=1e-3, atol=1e-5, err_msg=str(place))
    assert not gradient[0, 0, 0].any()
    assert gradient[0, 0, 1].any()


# Class weights.


def test_class_weights_can_be_replaced_even_in_a_compiled_function():
    labels, logits = draw_batch(4, 3, None)
    loss = WeightedCrossentropy(3, from_logits=True)
    compiled = tf.function(loss)
    for weights in ([1, 1, 1], [3, 0.5, 0], [0.1, 0.2, 0.3]):
        loss.set_class_weights(weights)
        expected = oracle(labels, softmax(logits), weights, None, "valid_pixels")
        np.testing.assert_allclose(compiled(labels, logits), expected, rtol=1e-5)


def test_class_weights_may_be_a_dict_in_which_classes_are_missing():
    loss = WeightedCrossentropy(4, {0: 2.0, 3: 0.5})
    assert loss.class_weights.numpy().tolist() == [2, 1, 1, 0.5]
    loss.set_class_weights({})
    assert loss.class_weights.numpy().tolist() == [1, 1, 1, 1]
    again = keras.losses.deserialize(keras.losses.serialize(WeightedCrossentropy(4, {0: 2.0, 3: 0.5})))
    assert again.class_weights.numpy().tolist() == [2, 1, 1, 0.5]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({3: 1.0}, "class_weights has a key 3; classes are 0 to 2"),
        ({-1: 1.0}, "class_weights has a key -1; classes are 0 to 2"),
        ({"road": 1.0}, "class_weights has a key 'road'; classes are 0 to 2"),
        ({True: 1.0}, "class_weights has a key True"),
        ({1: -1.0}, "finite and not negative"),
        ([1, 2], "class_weights must be 3 numbers"),
        ([1, 2, 3, 4], "class_weights must be 3 numbers"),
        ([[1, 2, 3]], "class_weights must be 3 numbers"),
        (1.0, "class_weights must be 3 numbers"),
        ([1, 2, -0.5], "finite and not negative"),
        ([1, 2, float("nan")], "finite and not negative"),
        ([1, 2, float("inf")], "finite and not negative"),
    ],
)
def test_weights_that_are_none_are_refused_and_change_nothing(weights, message):
    loss = WeightedCrossentropy(3, [4, 5, 6])
    with pytest.raises(ValueError, match=message):
        loss.set_class_weights(weights)
    assert loss.class_weights.numpy().tolist() == [4, 5, 6]
    with pytest.raises(ValueError, match=message):
        WeightedCrossentropy(3, weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "num_classes must be a positive int"),
        ({"num_classes": 2.0}, "num_classes must be a positive int"),
        ({"num_classes": 2, "normalization": "mean"}, "normalization must be one of valid_pixels, weights, sum"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        WeightedCrossentropy(**arguments)


# In training, and saved.


def classifier(classes=3):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((None, None, 2)), keras.layers.Conv2D(classes, 1, activation="softmax")])
    return model


@pytest.mark.parametrize("shape", [(2,), (2, 1), (2, 1, 1), (2, 3, 4), (2, 3, 4, 1)])
def test_sample_weights_of_images_and_of_pixels(shape):
    labels, logits = draw_batch(11, 3, 255)
    weight = np.random.default_rng(12).uniform(size=shape).astype("float32")
    per_pixel = weight.reshape(shape + (1,) * (3 - len(shape))) if len(shape) < 4 else weight[..., 0]
    actual = WeightedCrossentropy(3, None, 255, True)(labels, logits, sample_weight=weight)
    expected = oracle(labels, softmax(logits), np.ones(3), 255, "valid_pixels", per_pixel)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_class_weight_of_fit_is_refused_with_what_to_use():
    labels, x = draw_batch(6, 2, None)
    model = classifier()
    model.compile("sgd", WeightedCrossentropy(3))
    with pytest.raises(ValueError, match=r"use WeightedCrossentropy\(\.\.\., class_weights=\{\.\.\.\}\)"):
        model.fit(tf.data.Dataset.from_tensors((x, labels)), class_weight={0: 1.0, 1: 5.0}, verbose=0)


@every_normalization
@given(seed=st.integers(0, 2**16), classes=st.integers(2, 6), ignored=st.sampled_from([None, 255]))
@settings(max_examples=15)
def test_one_hot_labels_are_the_same_and_pixels_of_zeros_are_ignored(normalization, seed, classes, ignored):
    labels, logits = draw_batch(seed, classes, ignored)
    one_hot = np.eye(256)[labels][..., :classes]
    dense = WeightedCrossentropy(classes, np.arange(1, classes + 1), ignored, True, normalization)
    np.testing.assert_allclose(dense(one_hot, logits), dense(labels, logits), rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_reports_the_loss_of_the_first_step_and_lowers_it(jit_compile):
    random = np.random.default_rng(5)
    x = random.normal(size=(4, 5, 6, 2)).astype("float32")
    labels = np.where(x[..., 0] > 1, 255, (x[..., 0] > 0) + (x[..., 1] > 0)).astype("uint8")
    model = classifier()
    expected = oracle(labels.astype(int), model.predict(x, verbose=0), [0.5, 2, 3], 255, "valid_pixels")
    model.compile("adam", WeightedCrossentropy(3, [0.5, 2, 3], 255), jit_compile=jit_compile)
    losses = model.fit(x, labels, batch_size=4, epochs=30, verbose=0).history["loss"]
    np.testing.assert_allclose(losses[0], expected, rtol=1e-5)
    assert losses[-1] < losses[0]


def test_evaluate_applies_sample_weights_to_pixels():
    labels, x = draw_batch(6, 2, None)
    sample_weight = np.random.default_rng(7).uniform(size=labels.shape).astype("float32")
    model = classifier()
    expected = oracle(labels, model.predict(x, verbose=0), np.ones(3), None, "valid_pixels", sample_weight)
    model.compile(loss=WeightedCrossentropy(3))
    result = model.evaluate(x, labels, sample_weight=sample_weight, batch_size=2, verbose=0)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_serialisation_keeps_everything():
    loss = WeightedCrossentropy(3, [0.5, 2, 3], 255, True, "weights", name="its_name")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert isinstance(again, WeightedCrossentropy)
    assert again.get_config() == loss.get_config()
    assert (again.num_classes, again.ignore_class, again.from_logits, again.normalization, again.name) == (
        3, 255, True, "weights", "its_name"
    )  # fmt: skip
    assert again.class_weights.numpy().tolist() == [0.5, 2, 3]


def test_a_saved_compiled_model_goes_on_with_its_weights(tmp_path):
    labels, x = draw_batch(8, 2, None)
    model = classifier()
    loss = WeightedCrossentropy(3, ignore_class=11)
    model.compile("sgd", loss)
    model.fit(x, labels, verbose=0)
    loss.set_class_weights([7, 2, 0.5])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    expected = oracle(labels, model.predict(x, verbose=0), [7, 2, 0.5], 11, "valid_pixels")
    np.testing.assert_allclose(again.evaluate(x, labels, verbose=0), expected, rtol=1e-5)
