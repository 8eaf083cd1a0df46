"""Building, training, scoring and saving, on whichever backend Keras has."""

import subprocess
import sys

import keras
import networks
import numpy as np
import pytest

import keras_segnet
from keras_segnet.callbacks import BatchNormRecalibration, MedianFrequencyBalancing, WeightAveraging
from keras_segnet.data import evaluation_batches, street_scenes, training_batches
from keras_segnet.evaluation.evaluate import evaluate
from keras_segnet.inference import load_segmenter
from keras_segnet.losses import WeightedCrossentropy
from keras_segnet.metrics import SegmentationScores
from keras_segnet.models import split
from keras_segnet.optimizers import ConvolutionMuon

BACKEND = keras.backend.backend()


def test_there_is_no_tensorflow_but_on_its_own_backend():
    assert ("tensorflow" in sys.modules) == (BACKEND == "tensorflow")


def train(epochs, precision="float32"):
    """A small net on drawn streets, by the ways that a user goes. Returns it and the losses of its epochs."""
    keras.utils.set_random_seed(5)
    scenes = street_scenes("train", count=8, size=(48, 64))
    classes = scenes.classes
    keras.config.set_dtype_policy(precision)
    try:
        model = keras_segnet.build_segnet_basic(len(classes), (24, 32, 3), width=0.25)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile(
        optimizer=ConvolutionMuon(5e-3),
        loss=WeightedCrossentropy(len(classes), ignore_class=classes.ignored),
        metrics=[SegmentationScores(len(classes), classes.ignored)],
    )
    history = model.fit(
        training_batches(scenes, 4, (24, 32), seed=3),
        epochs=epochs,
        validation_data=evaluation_batches(scenes, 4, (24, 32)),
        callbacks=[MedianFrequencyBalancing(scenes), keras.callbacks.EarlyStopping("val_mean_iou", patience=epochs)],
        verbose=0,
    ).history
    return model, history


def test_a_network_learns_and_scores_the_same_from_its_file(tmp_path):
    model, history = train(epochs=20)
    assert history["loss"][-1] < 0.75 * history["loss"][0]
    scenes = street_scenes("train", count=8, size=(48, 64))
    scores = model.evaluate(evaluation_batches(scenes, 4, (24, 32)), verbose=0, return_dict=True)
    assert scores["mean_iou"] == pytest.approx(history["val_mean_iou"][-1], abs=1e-6)
    model.save(tmp_path / "model.keras")
    scores = evaluate(load_segmenter(tmp_path / "model.keras"), scenes).scores
    assert scores.mean_iou > 0.05


def test_two_runs_from_one_seed_give_bit_equal_weights():
    if BACKEND == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    (one, _), (other, _) = train(epochs=2), train(epochs=2)
    for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_network_trains_in_mixed_precision():
    _, history = train(epochs=4, precision="mixed_bfloat16")
    assert np.isfinite(history["loss"]).all()
    assert history["loss"][-1] < history["loss"][0]


def test_validation_has_averaged_weights_and_statistics_of_the_training_set():
    scenes = street_scenes("train", count=6, size=(24, 32))
    classes = scenes.classes
    validated, trained = [], {}

    class Look(keras.callbacks.Callback):
        """Before the others put the trained weights back, and after."""

        def on_test_end(self, logs=None):
            normalization = self.model.get_layer("conv1_bn")
            given = keras.Model(self.model.input, normalization.input)
            batches = [np.stack([scenes[i].image for i in part]) for part in ((0, 1, 2, 3), (4, 5))]
            values = [given.predict(batch, verbose=0).reshape(-1, given.output.shape[-1]) for batch in batches]
            mean = np.average([v.mean(axis=0, dtype="float64") for v in values], axis=0, weights=[4, 2])
            variance = np.average([v.var(axis=0, ddof=1, dtype="float64") for v in values], axis=0, weights=[4, 2])
            np.testing.assert_allclose(normalization.get_weights()[2], mean, rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(normalization.get_weights()[3], variance, rtol=1e-3)
            validated.append(self.model.get_layer("conv1").get_weights()[0])

    class Trained(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            trained.setdefault(epoch, []).append(self.model.get_layer("conv1").get_weights()[0].copy())

    for callbacks in ([], [Look(), WeightAveraging(), BatchNormRecalibration(scenes, 4, (24, 32))]):
        keras.utils.set_random_seed(5)
        model = keras_segnet.build_segnet_basic(len(classes), (24, 32, 3), width=0.1)
        model.compile(
            ConvolutionMuon(5e-3, use_ema=True, ema_momentum=0.5),
            WeightedCrossentropy(len(classes), ignore_class=classes.ignored),
        )
        data = evaluation_batches(scenes, 3, (24, 32))
        model.fit(data, validation_data=data, epochs=2, callbacks=[*callbacks, Trained()], verbose=0)
    assert len(validated) == len(trained) == 2
    for average, (plain, ours) in zip(validated, trained.values(), strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-4)
        assert np.abs(average - ours).max() > 1e-4


@pytest.mark.parametrize(("network", "size"), [("segnet", "odd"), ("segnet_basic", "open")])
def test_a_saved_network_gives_equal_outputs_in_a_new_process(network, size, tmp_path):
    model = networks.build(network, size)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "image.npy", networks.image(size))
    program = """
import sys
import keras, keras_segnet, numpy as np
model = keras.models.load_model(sys.argv[1] + "/model.keras")
np.save(sys.argv[1] + "/answer.npy", model.predict(np.load(sys.argv[1] + "/image.npy"), verbose=0))
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True)
    expected = model.predict(networks.image(size), verbose=0)
    np.testing.assert_array_equal(np.load(tmp_path / "answer.npy"), expected)


@pytest.mark.parametrize("network", networks.NETWORKS)
def test_a_network_of_open_size_gives_what_one_of_that_size_gives(network):
    """Under TensorFlow this holds one encoding beside the other."""
    model = networks.build(network, "open")
    fixed = networks.build(network, "fixed")
    fixed.set_weights(model.get_weights())
    picture = networks.image("fixed")
    np.testing.assert_allclose(model.predict(picture, verbose=0), fixed.predict(picture, verbose=0), atol=1e-5)


@pytest.mark.parametrize("size", ["odd", "open"])
@pytest.mark.parametrize("network", networks.NETWORKS)
def test_encoder_and_decoder_may_be_two_models(network, size):
    model = networks.build(network, size)
    encoder, decoder = split(model)
    handed_over = encoder.predict_on_batch(networks.image(size))
    assert [keras.backend.standardize_dtype(tensor.dtype) for tensor in handed_over] == [
        tensor.dtype for tensor in encoder.outputs
    ]
    whole = model.predict_on_batch(networks.image(size))
    networks.assert_same_labels(decoder.predict_on_batch(handed_over), whole)
