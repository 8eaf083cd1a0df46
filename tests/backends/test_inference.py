"""Samples with dropout, and the CRF as a layer, on whichever backend Keras has."""

import crf_oracle
import dropout_oracle
import keras
import numpy as np

from keras_segnet.inference import predict_with_uncertainty
from keras_segnet.layers import CRFasRNN


def test_samples_with_dropout_have_the_mean_and_variance_of_all_masks():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    model = dropout_oracle.network()
    mean, variance = dropout_oracle.moments(model, images)
    found = predict_with_uncertainty(model, images, 2000, seed=4, batch_size=600)
    assert (np.abs(found.probabilities - mean) <= 5 * np.sqrt(variance / 2000) + 1e-6).all()
    np.testing.assert_allclose(found.uncertainty, variance.mean(axis=-1), atol=5 * np.sqrt(variance.max() / 2000))
    again = predict_with_uncertainty(model, images, 2000, seed=4, batch_size=600)
    np.testing.assert_array_equal(again.probabilities, found.probabilities)
    np.testing.assert_array_equal(again.uncertainty, found.uncertainty)
    other = predict_with_uncertainty(model, images, 2000, seed=5, batch_size=600)
    assert np.abs(other.probabilities - found.probabilities).max() > 1e-3


def test_the_crf_layer_is_the_mean_field_and_learns():
    random = np.random.default_rng(0)
    label = np.zeros((2, 7, 9), "int32")
    label[:, :, 4:] = 1
    image = (np.where(label[..., None], 140, 100) + random.normal(0, 8, (2, 7, 9, 3))).astype("float32")
    scores = (np.eye(2)[label] + random.normal(0, 1.5, (2, 7, 9, 2))).astype("float32")
    for reach in (None, 1):
        logits, picture = keras.Input((None, None, 2)), keras.Input((None, None, 3))
        crf = CRFasRNN(2, 2, reach, smoothness_weight=0.5, appearance_weight=0.5)
        model = keras.Model([logits, picture], crf(logits, picture))
        expected = [
            crf_oracle.mean_field(one, crf_oracle.kernels(colours, reach=reach), (0.5, 0.5), 2)
            for one, colours in zip(scores, image, strict=True)
        ]
        np.testing.assert_allclose(model.predict([scores, image], verbose=0), expected, atol=1e-4)
        model.compile(keras.optimizers.Adam(0.1), keras.losses.CategoricalCrossentropy())
        before = crf.get_weights()
        losses = model.fit([scores, image], np.eye(2)[label], epochs=15, verbose=0).history["loss"]
        assert losses[-1] < 0.9 * losses[0]
        assert all(np.abs(new - old).max() > 0.05 for new, old in zip(crf.get_weights(), before, strict=True))
