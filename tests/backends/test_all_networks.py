"""Every registered network, on whichever backend Keras has: it answers as on TensorFlow, and it trains."""

import keras
import networks
import numpy as np
import pytest
from small_networks import NETWORKS

from keras_segnet.layers import MaxPoolingWithArgmax2D
from keras_segnet.losses import WeightedCrossentropy
from keras_segnet.models import split


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """On JAX, compiling takes most of the time here, and what it makes runs once."""
    if keras.backend.backend() != "jax":
        yield
        return
    import jax

    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


SEEN: set[tuple] = set()
"""Layers of the networks before, as `kind` tells them apart."""


def kind(layer):
    """What a backend computes by another kernel: not how many channels there are, nor where a layer stands."""
    told = ("strides", "dilation_rate", "padding", "kernel_size", "pool_size", "interpolation", "factor")
    return type(layer).__name__, *(str(getattr(layer, name, None)) for name in told)


@pytest.mark.parametrize("network", NETWORKS)
def test_it_answers_as_on_tensorflow_and_trains(network):
    image, label = networks.picture(*networks.SMALL), np.random.default_rng(3).integers(0, 5, (2, *networks.SMALL))
    path = networks.EXCHANGE / "tensorflow" / f"{network}-small.keras"
    if path.is_file():  # make test-backends has TensorFlow write it.
        model = keras.models.load_model(path)
        networks.assert_same_labels(model.predict_on_batch(image), np.load(path.with_suffix(".npy")))
    else:
        model = networks.build_small(network)
        probabilities = model.predict_on_batch(image)
        assert probabilities.shape == (*label.shape, 5)
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)

    kinds = {kind(layer) for layer in model.layers}
    if kinds <= SEEN:
        return  # It is wired otherwise than the networks before, which the gradient of no layer knows.
    SEEN.update(kinds)

    if any(isinstance(layer, MaxPoolingWithArgmax2D) for layer in model.layers):
        encoder, decoder = split(model)
        halves = decoder.predict_on_batch(encoder.predict_on_batch(image))
        np.testing.assert_allclose(halves, model.predict_on_batch(image), atol=1e-5)

    before = [np.array(keras.ops.convert_to_numpy(weights)) for weights in model.trainable_variables]
    model.compile(keras.optimizers.SGD(0.1, global_clipnorm=1.0), WeightedCrossentropy(5))
    assert np.isfinite(model.train_on_batch(image, label))
    names = {layer.name for layer in model.layers}
    for weights, old in zip(model.trainable_variables, before, strict=True):
        new = keras.ops.convert_to_numpy(weights)
        # Batch normalisation takes back what a bias before it adds, so only rounding, if any, moves that bias.
        idle = weights.path.endswith("/bias") and f"{weights.path.split('/')[-2]}_bn" in names
        assert np.isfinite(new).all() and (idle or (new != old).any()), weights.path
