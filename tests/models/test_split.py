"""A network's encoder and decoder as two models: indices mean the same on both sides, whoever computes either."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from batch_statistics import settle
from small_networks import NETWORKS, small
from splitting import pools_with_indices, split

from keras_segnet.layers import fusion

RUNS = {
    "eager": lambda model: lambda inputs: model(inputs, training=False),
    "graph": lambda model: tf.function(lambda inputs: model(inputs, training=False)),
    "predict": lambda model: model.predict_on_batch,
    "xla": lambda model: tf.function(lambda inputs: model(inputs, training=False), jit_compile=True),
}


def assert_same_labels(model, size, encoder_runs, decoder_runs):
    """Of the halves, each run so, beside the whole network run eagerly."""
    image = np.random.default_rng(1).integers(0, 256, (2, *size, 3)).astype("float32")
    whole = model(image, training=False).numpy()
    encoder, decoder = split(model)
    handed_over = [np.asarray(tensor) for tensor in RUNS[encoder_runs](encoder)(image)]
    announced = [tensor.dtype for tensor in encoder.outputs]
    assert [str(tensor.dtype) for tensor in handed_over] == announced and "int8" in announced
    probabilities = np.asarray(RUNS[decoder_runs](decoder)(handed_over))
    np.testing.assert_allclose(probabilities, whole, atol=1e-4)  # Compiled, sums have another order.
    second, first = np.partition(whole, -2, axis=-1)[..., -2:].transpose(3, 0, 1, 2)
    clear = first - second > 1e-3
    np.testing.assert_array_equal(probabilities.argmax(axis=-1)[clear], whole.argmax(axis=-1)[clear])


@pytest.mark.parametrize(
    ("size", "runs"),
    [((29, 37), "eager"), ((None, None), "eager"), ((None, None), "graph"), ((29, 37), "xla")],
    ids=["odd", "open", "open in a graph", "odd and compiled"],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_that_pools_with_indices_can_be_split(name, size, runs):
    keras.utils.set_random_seed(1)
    model = small(name, input_shape=(*size, 3))
    if not pools_with_indices(model):
        pytest.skip(f"{name} has no pooling with indices")
    assert_same_labels(settle(model), tuple(n or 32 for n in size), runs, runs)


@pytest.mark.parametrize("size", [(32, 48), (None, None)], ids=["whole windows", "open"])
@pytest.mark.parametrize(
    ("encoder_runs", "decoder_runs"), [("graph", "xla"), ("xla", "predict"), ("predict", "graph"), ("xla", "xla")]
)
def test_each_half_may_run_in_its_own_way(encoder_runs, decoder_runs, size, monkeypatch):
    monkeypatch.setattr(fusion, "LEAST_FUSED", 0)
    keras.utils.set_random_seed(1)
    model = settle(small("segnet_basic", input_shape=(*size, 3)))
    assert_same_labels(model, (32, 48), encoder_runs, decoder_runs)
