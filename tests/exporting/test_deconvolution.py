"""Transposed convolutions, of which exported files hold most as convolutions."""

import keras
import numpy as np
import pytest

from keras_segnet.exporting import to_tflite
from keras_segnet.exporting.deconvolution import (
    ShuffledDeconvolution,
    TurnedDeconvolution,
    with_deconvolutions_as_convolutions,
)
from keras_segnet.models import build


@pytest.mark.parametrize(("kernel_size", "stride"), [(4, 2), (3, 3), (7, 3), (8, 4), (13, 4), (16, 8), (64, 32)])
@pytest.mark.parametrize("use_bias", [False, True])
def test_a_shuffled_deconvolution_is_the_transposed_convolution(kernel_size, stride, use_bias):
    keras.utils.set_random_seed(0)
    options = {"padding": "same", "use_bias": use_bias, "bias_initializer": "normal", "activation": "tanh"}
    check_that_it_is_the_same(ShuffledDeconvolution, keras.layers.Conv2DTranspose(2, kernel_size, stride, **options))


@pytest.mark.parametrize(("kernel_size", "padding"), [(1, "same"), (3, "same"), ((5, 3), "same"), ((4, 7), "valid")])
@pytest.mark.parametrize("use_bias", [False, True])
def test_a_turned_deconvolution_is_the_transposed_convolution(kernel_size, padding, use_bias):
    options = {"padding": padding, "use_bias": use_bias, "bias_initializer": "normal", "activation": "tanh"}
    check_that_it_is_the_same(TurnedDeconvolution, keras.layers.Conv2DTranspose(2, kernel_size, **options))


def check_that_it_is_the_same(kind, layer):
    keras.utils.set_random_seed(0)
    as_convolution = kind.from_config(layer.get_config())
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype("float32")
    expected = layer(x)
    as_convolution.build(x.shape)
    as_convolution.set_weights(layer.get_weights())
    np.testing.assert_allclose(as_convolution(x), expected, atol=1e-5)


def test_deconvnet_leaves_without_transposed_convolutions(tmp_path):
    report = to_tflite(build("deconvnet", 4, (32, 32, 3), width=0.03), tmp_path / "model.tflite")
    assert "TRANSPOSE_CONV" not in report.ops
    assert report.largest_difference < 1e-4


@pytest.mark.parametrize(("network", "kept"), [("fcn_32s", 0), ("fcn_16s", 1), ("fcn_8s", 2)])
def test_strides_of_two_alone_stay_transposed_in_a_file(network, kept, tmp_path):
    report = to_tflite(build(network, 4, (29, 37, 3), width=0.03), tmp_path / "model.tflite")
    assert report.ops.get("TRANSPOSE_CONV", 0) == kept
    assert report.ops["DEPTH_TO_SPACE"] == 1
    assert report.largest_difference < 1e-4


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "valid"},
        {"kernel_size": (8, 10)},
        {"strides": (4, 3)},
        {"kernel_size": 3},
        {"output_padding": 1},
        {"strides": 2},
        {"strides": 1},
        {"strides": 1, "kernel_size": 3, "dilation_rate": 2},
    ],
)
def test_transposed_convolutions_of_another_kind_stay_as_they_are(options):
    image = keras.Input((5, 6, 3))
    settings = {"kernel_size": 8, "strides": 4, "padding": "same", **options}
    model = keras.Model(image, keras.layers.Conv2DTranspose(2, **settings)(image))
    assert with_deconvolutions_as_convolutions(model) is model
