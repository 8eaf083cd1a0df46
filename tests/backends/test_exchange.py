"""A model written under one backend gives the same labels under another. `make test-backends` has each one write."""

from pathlib import Path

import keras
import networks
import numpy as np
import pytest

import keras_segnet  # noqa: F401  registers the layers

EXCHANGE = Path(__file__).parents[2] / "build" / "exchange"


@pytest.mark.parametrize("size", networks.SIZES)
@pytest.mark.parametrize("network", networks.NETWORKS)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_model_of_another_backend_gives_the_same_labels(backend, network, size):
    path = EXCHANGE / backend / f"{network}-{size}.keras"
    if not path.is_file():
        pytest.skip(f"{backend} wrote no models into build/exchange; make test-backends has it do so")
    expected = np.load(path.with_suffix(".npy"))
    actual = keras.models.load_model(path).predict(networks.image(size), verbose=0)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
    second, first = np.moveaxis(np.sort(expected, axis=-1)[..., -2:], -1, 0)
    clear = first - second > 2e-4  # Twice the tolerance: nearer than that, rounding may decide.
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(actual.argmax(axis=-1)[clear], expected.argmax(axis=-1)[clear])
