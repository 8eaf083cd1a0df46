"""Samples with dropout on: their mean and variance, and what must stay as it is."""

import gc
import tracemalloc
import weakref
from pathlib import Path

import dropout_oracle
import keras
import numpy as np
import pytest
from batch_statistics import settle
from keras import layers

import keras_segnet
from keras_segnet.errors import InputError
from keras_segnet.inference import MonteCarloSegmenter, load_monte_carlo_segmenter, predict_with_uncertainty
from keras_segnet.inference.monte_carlo import _mean_and_variance

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)


@pytest.fixture(scope="module")
def segnet() -> keras.Model:
    keras.utils.set_random_seed(0)
    return settle(keras_segnet.build_segnet_basic(3, (16, 24, 3), width=0.05, dropout=0.5))


def test_mean_and_variance_are_those_over_all_masks() -> None:
    model = dropout_oracle.network()
    mean, variance = dropout_oracle.moments(model, IMAGES)
    samples = 4000
    found = predict_with_uncertainty(model, IMAGES, samples, batch_size=500)
    assert found.probabilities.dtype == found.uncertainty.dtype == np.float32
    # Five standard errors of the mean; the variance of a variance of values in 0..1 is below that of the values.
    assert (np.abs(found.probabilities - mean) <= 5 * np.sqrt(variance / samples) + 1e-6).all()
    np.testing.assert_allclose(found.uncertainty, variance.mean(axis=-1), atol=5 * np.sqrt(variance.max() / samples))
    assert variance.mean() > 0.01 and np.abs(mean - model.predict(IMAGES, verbose=0)).max() > 0.02


@pytest.mark.parametrize(("images", "samples", "batch_size"), [(1, 7, 3), (3, 5, 2), (3, 2, 8), (2, 1, 4), (3, 50, 7)])
def test_there_are_as_many_samples_as_asked_for(images: int, samples: int, batch_size: int) -> None:
    """Of a network that is always sure: then a mean is a count over the number, and gives the variance too."""
    image = keras.Input((4, 5, 3))
    dropped = layers.Dropout(0.5)(layers.Rescaling(0, offset=1.0)(image))
    model = keras.Model(image, layers.Softmax()(dropped * np.array([1e4, 2e4, 4e4], "float32")))
    steps: list[int] = []
    found = predict_with_uncertainty(
        model,
        IMAGES[:images],
        samples,
        batch_size=batch_size,
        progress=lambda items, total, _: (steps.append(total) or item for item in items),
    )
    counts = found.probabilities * samples * 3  # Where all is dropped, each class has a third.
    np.testing.assert_allclose(counts, np.rint(counts), atol=1e-3)
    assert found.uncertainty.shape == (images, 4, 5)
    assert set(steps) == {len(steps)}
    if samples == 1:
        assert not found.uncertainty.any()


def test_mean_and_variance_do_not_cancel() -> None:
    samples = np.random.default_rng(0).normal(1e7, 1.0, (9, 2, 3))
    mean, variance = _mean_and_variance(samples)
    np.testing.assert_allclose(mean, samples.mean(axis=0))
    np.testing.assert_allclose(variance, samples.var(axis=0), rtol=1e-6)


def test_a_seed_gives_the_same_samples_and_another_gives_others(segnet: keras.Model, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), np.uint8)
    first = predict_with_uncertainty(segnet, images, 4, seed=5)
    segnet.predict(images, verbose=0)
    predict_with_uncertainty(segnet, images[:1], 3, seed=2)
    again = predict_with_uncertainty(segnet, images, 4, seed=5)
    np.testing.assert_array_equal(again.probabilities, first.probabilities)
    np.testing.assert_array_equal(again.uncertainty, first.uncertainty)
    assert np.abs(predict_with_uncertainty(segnet, images, 4, seed=6).probabilities - first.probabilities).max() > 0.01
    segnet.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        predict_with_uncertainty(loaded, images, 4, seed=5).probabilities, first.probabilities, atol=1e-6
    )


def test_samples_and_copies_of_an_image_differ(segnet: keras.Model) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 24, 3), np.uint8)
    copies = predict_with_uncertainty(segnet, np.repeat(image, 2, axis=0), 2).probabilities
    assert np.abs(copies[0] - copies[1]).max() > 0.01
    assert predict_with_uncertainty(segnet, image, 2, batch_size=1).uncertainty.max() > 1e-4
    assert predict_with_uncertainty(segnet, image, 2, batch_size=2).uncertainty.max() > 1e-4


def test_the_model_stays_as_it_is_and_is_let_go() -> None:
    model = dropout_oracle.network((4, 5, 3))
    (dropout,) = (layer for layer in model.layers if isinstance(layer, layers.Dropout))
    state = keras.ops.convert_to_numpy(dropout.seed_generator.state)
    before = model.to_json(), model.get_weights(), model.predict(IMAGES, verbose=0)
    predict_with_uncertainty(model, IMAGES, 3)
    assert model.to_json() == before[0]
    for weight, old in zip(model.get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(weight, old)
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), before[2])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(dropout.seed_generator.state), state)
    # Weights are shared: what is learnt later counts.
    model.get_layer("classifier").set_weights([np.zeros((1, 1, 3, 3)), np.log([1.0, 2.0, 5.0])])
    found = predict_with_uncertainty(model, IMAGES, 3)
    np.testing.assert_allclose(found.probabilities, np.broadcast_to([0.125, 0.25, 0.625], (3, 4, 5, 3)), atol=1e-6)
    gone = weakref.ref(model)
    del model, dropout
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "dropout", [layers.SpatialDropout2D(0.5), layers.GaussianDropout(0.5), layers.AlphaDropout(0.5)]
)
def test_every_kind_of_dropout_in_models_within_models(dropout: keras.layers.Layer) -> None:
    inner = keras.Sequential([keras.Input((4, 5, 3)), layers.Rescaling(1 / 255), dropout])
    image = keras.Input((4, 5, 3))
    model = keras.Model(image, layers.Softmax()(inner(image)))
    assert predict_with_uncertainty(model, IMAGES, 5).uncertainty.max() > 1e-3


def test_memory_does_not_grow_with_samples() -> None:
    model = dropout_oracle.network((64, 96, 3))
    image = np.zeros((1, 64, 96, 3), np.uint8)
    predict_with_uncertainty(model, image, 2)

    def peak(samples: int) -> int:
        tracemalloc.start()
        predict_with_uncertainty(model, image, samples)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(80) < 1.2 * peak(8)  # 80 samples take 12 MB.


def test_models_that_cannot_be_sampled() -> None:
    plain = keras_segnet.build_segnet_basic(3, (4, 5, 3), width=0.05)
    with pytest.raises(InputError, match="segnet_basic has no dropout layer, so its predictions would not vary"):
        predict_with_uncertainty(plain, IMAGES, 3)


def test_logits_become_probabilities_before_they_are_averaged() -> None:
    logits = keras_segnet.build_segnet_basic(3, (4, 5, 3), width=0.05, dropout=0.5, classifier_activation=None)
    softmax = keras.Model(logits.inputs, keras.layers.Softmax()(logits.outputs[0]))
    found, expected = (predict_with_uncertainty(model, IMAGES, 3) for model in (logits, softmax))
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-5)
    np.testing.assert_allclose(found.uncertainty, expected.uncertainty, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": IMAGES[0]}, r"\(batch, height, width, 3\).*\(4, 5, 3\)"),
        ({"images": IMAGES[:0]}, "at least one"),
        ({"samples": 0}, "samples must be an int of at least 1, not 0"),
        ({"samples": 2.5}, "samples must be an int"),
        ({"batch_size": 0}, "batch_size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments(options: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"model": dropout_oracle.network(), "images": IMAGES, **options}
    with pytest.raises(ValueError, match=message):
        predict_with_uncertainty(**arguments)  # type: ignore[arg-type]


def test_a_segmenter_gives_each_image_the_same_whatever_came_before(segnet: keras.Model, tmp_path: Path) -> None:
    first, second = np.random.default_rng(0).integers(0, 256, (2, 31, 50, 3), np.uint8)
    segmenter = MonteCarloSegmenter(segnet, samples=3)
    probabilities, uncertainty = segmenter.predict(first)
    assert probabilities.shape == (31, 50, 3) and uncertainty.shape == (31, 50) and uncertainty.max() > 1e-4
    segmenter.probabilities(second)
    np.testing.assert_array_equal(segmenter.probabilities(first), probabilities)
    np.testing.assert_array_equal(segmenter.label(first), probabilities.argmax(-1))
    segnet.save(tmp_path / "model.keras")
    loaded = load_monte_carlo_segmenter(tmp_path / "model.keras", 3)
    np.testing.assert_allclose(loaded.probabilities(first), probabilities, atol=1e-6)
