"""A model written under one backend gives the same labels under another. `make test-backends` has each one write."""

import keras
import networks
import numpy as np
import pytest

import keras_segnet  # noqa: F401  registers the layers


@pytest.mark.parametrize("size", networks.SIZES)
@pytest.mark.parametrize("network", networks.NETWORKS)
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_model_of_another_backend_gives_the_same_labels(backend, network, size):
    path = networks.EXCHANGE / backend / f"{network}-{size}.keras"
    if not path.is_file():
        pytest.skip(f"{backend} wrote no models into build/exchange; make test-backends has it do so")
    expected = np.load(path.with_suffix(".npy"))
    networks.assert_same_labels(keras.models.load_model(path).predict(networks.image(size), verbose=0), expected)
