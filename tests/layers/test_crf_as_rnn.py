"""The CRF layer against all pairs of pixels written out, and that it learns."""

from pathlib import Path

import crf_oracle
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_segnet.inference import dense_crf
from keras_segnet.layers import CRFasRNN

CLASSES = 3
SIZE = (6, 9)


def inputs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    image = random.integers(0, 4, (2, *SIZE, 3)).astype("float32") * 10
    return random.normal(0, 2, (2, *SIZE, CLASSES)).astype("float32"), image


def expected(logits: np.ndarray, image: np.ndarray, iterations: int, reach: int | None, **options) -> np.ndarray:
    settings = {"weights": (3.0, 10.0), **options}
    return np.stack(
        [
            crf_oracle.mean_field(scores, crf_oracle.kernels(picture, reach=reach), iterations=iterations, **settings)
            for scores, picture in zip(logits, image, strict=True)
        ]
    )


@pytest.mark.parametrize("reach", [None, 8, 1, 3])
@pytest.mark.parametrize("iterations", [1, 4])
def test_it_is_the_mean_field_of_the_window(reach: int | None, iterations: int) -> None:
    logits, image = inputs()
    found = ops.convert_to_numpy(CRFasRNN(iterations=iterations, reach=reach)(logits, image))
    whole = reach is None or reach >= max(SIZE) - 1
    np.testing.assert_allclose(found, expected(logits, image, iterations, None if whole else reach), atol=1e-4)


def test_it_is_dense_crf_with_other_filters() -> None:
    logits, image = inputs()
    layer = ops.convert_to_numpy(CRFasRNN(reach=None)(logits, image))
    filtered = dense_crf(crf_oracle.softmax(logits[0]), image[0])
    assert (layer[0].argmax(-1) == filtered.argmax(-1)).mean() > 0.9


def test_weights_and_compatibility_of_each_class() -> None:
    logits, image = inputs()
    random = np.random.default_rng(1)
    layer = CRFasRNN(iterations=3, reach=2)
    layer.build(logits.shape, image.shape)
    values = [random.normal(1, 1, CLASSES), random.normal(1, 2, CLASSES), random.normal(0, 1, (CLASSES, CLASSES))]
    assert [weight.name for weight in layer.weights] == ["smoothness_weights", "appearance_weights", "compatibility"]
    layer.set_weights(values)
    found = ops.convert_to_numpy(layer(logits, image))
    oracle = expected(logits, image, 3, 2, weights=values[:2], compatibility=values[2])
    np.testing.assert_allclose(found, oracle, atol=1e-4)


def test_iterations_in_training_and_not() -> None:
    logits, image = inputs()
    layer = CRFasRNN(iterations=3, training_iterations=1, reach=1)
    np.testing.assert_allclose(layer(logits, image, training=True), expected(logits, image, 1, 1), atol=1e-4)
    np.testing.assert_allclose(layer(logits, image), expected(logits, image, 3, 1), atol=1e-4)
    scores = CRFasRNN(iterations=3, reach=1, classifier_activation=None)(logits, image)
    np.testing.assert_allclose(ops.softmax(scores), expected(logits, image, 3, 1), atol=1e-4)


@pytest.mark.parametrize("reach", [None, 2])
def test_gradients_are_differences(reach: int | None) -> None:
    logits, image = inputs()
    layer = CRFasRNN(training_iterations=2, reach=reach, smoothness_weight=0.5, appearance_weight=0.7, name="crf")
    layer.build(logits.shape, image.shape)
    direction = np.random.default_rng(2).normal(size=logits.shape).astype("float32")

    def loss(logits: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(direction * layer(logits, image, training=True))

    variables = [weight.value for weight in layer.trainable_weights]
    at = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = loss(at)
    gradients = tape.gradient(value, [at, *variables])
    random = np.random.default_rng(3)
    for variable, gradient in zip([at, *variables], gradients, strict=True):
        assert gradient is not None
        step = random.normal(size=variable.shape).astype("float32") * 1e-2
        if variable is at:
            up, down = loss(at + step), loss(at - step)
        else:
            before = tf.identity(variable)
            variable.assign(before + step)
            up = loss(at)
            variable.assign(before - step)
            down = loss(at)
            variable.assign(before)
        assert float(up - down) / 2 == pytest.approx(float(tf.reduce_sum(gradient * step)), rel=0.05, abs=2e-3)


def test_a_network_that_ends_in_it_learns_and_is_saved(tmp_path: Path) -> None:
    """Noisy colours of two halves: training makes the CRF's weights fit, at a size that the network leaves open."""
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    label = np.zeros((4, 13, 17), "int32")
    label[:, :, 8:] = 1
    image = (np.where(label[..., None], 140, 100) + random.normal(0, 8, (4, 13, 17, 3))).astype("float32")
    noisy = (np.eye(2)[label] + random.normal(0, 1.5, (4, 13, 17, 2))).astype("float32")
    picture, logits = keras.Input((None, None, 3)), keras.Input((None, None, 2))
    crf = CRFasRNN(3, 2, reach=1, smoothness_weight=0.1, appearance_weight=0.1)
    model = keras.Model([logits, picture], crf(logits, picture))
    assert model.output_shape == (None, None, None, 2)
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    before = [weight.copy() for weight in crf.get_weights()]
    losses = model.fit([noisy, image], label, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert all(np.abs(new - old).max() > 0.1 for new, old in zip(crf.get_weights(), before, strict=True))
    model.save(tmp_path / "crf.keras")
    loaded = keras.models.load_model(tmp_path / "crf.keras")
    np.testing.assert_allclose(
        loaded.predict([noisy, image], verbose=0), model.predict([noisy, image], verbose=0), atol=1e-6
    )
    assert loaded.layers[-1].get_config() == crf.get_config()


def test_compiled_by_xla() -> None:
    logits, image = inputs()
    layer = CRFasRNN(iterations=2, reach=1)
    layer.build(logits.shape, image.shape)
    found = tf.function(layer, jit_compile=True)(logits, image)
    np.testing.assert_allclose(found, expected(logits, image, 2, 1), atol=1e-4)


def test_half_precision_outside_single_inside() -> None:
    logits, image = inputs()
    found = CRFasRNN(iterations=3, reach=2, dtype="mixed_float16")(logits.astype("float16"), image.astype("uint8"))
    assert found.dtype == tf.float16
    np.testing.assert_allclose(found, expected(logits.astype("float16"), image, 3, 2), atol=1e-3)


def test_config_makes_the_same_layer_again() -> None:
    config = CRFasRNN(7, 3, None, 1.0, 2.0, 3.0, 4.0, 5.0, None, name="its_name").get_config()
    again = CRFasRNN.from_config(config)
    assert again.get_config() == config
    assert (again.iterations, again.training_iterations, again.reach, again.colour_deviation) == (7, 3, None, 5.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"iterations": 0}, "iterations must be a positive int, not 0"),
        ({"training_iterations": None}, "training_iterations must be a positive int, not None"),
        ({"reach": 0}, "reach must be a positive int or None, not 0"),
        ({"reach": 2.0}, "reach must be a positive int or None, not 2.0"),
        ({"smoothness_deviation": 0}, "smoothness_deviation must be a finite number above 0"),
        ({"classifier_activation": "relu"}, "classifier_activation must be 'softmax' or None"),
    ],
)
def test_bad_arguments(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CRFasRNN(**options)


@pytest.mark.parametrize("shapes", [((1, 4, 6, 3), (1, 4, 5, 3)), ((1, 4, 6, 3), (1, 4, 6, 1)), ((4, 6, 3), (4, 6, 3))])
def test_logits_and_image_that_do_not_go_together(shapes: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError, match=r"takes logits .* and an image .* of the same height and width"):
        CRFasRNN()(*(np.zeros(shape, "float32") for shape in shapes))
