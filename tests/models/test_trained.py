"""Weights that come with the package, and weights that a training starts from."""

import hypothesis
import hypothesis.extra.numpy as stnp
import hypothesis.strategies as st
import keras
import numpy as np
import pytest

from keras_segnet import catalogue
from keras_segnet.data import street_scenes
from keras_segnet.inference import load_segmenter
from keras_segnet.models import NETWORKS, build, build_segnet_basic
from keras_segnet.models import trained as module
from keras_segnet.models.trained import copy_weights, from_bytes, to_bytes, weights_of, write_weights

TRAINED = [(name, data) for name, network in NETWORKS.items() for data in network.trained_on]


def small(num_classes=4, **options):
    return build("segnet_edge", num_classes, (24, 32, 3), **{"width": 0.125, **options})


def others_than(layer, values):
    return {path: value for path, value in values.items() if not path.startswith(f"{layer}/")}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that has weights of a narrow network under the name of segnet_edge."""
    monkeypatch.setattr(catalogue, "WEIGHTS", tmp_path)
    keras.utils.set_random_seed(5)
    model = small()
    write_weights(model, tmp_path / "segnet_edge_streets.npz")
    return model


def test_weights_come_back_from_their_file_kernels_rounded_to_float16(package):
    model = small()
    module.load_trained(model, "segnet_edge", "streets")
    for path, value in weights_of(package).items():
        expected = value.astype("float16").astype("float32") if value.ndim > 1 else value
        np.testing.assert_array_equal(weights_of(model)[path], expected, err_msg=path)


@hypothesis.given(stnp.arrays(st.sampled_from([np.float16, np.float32]), stnp.array_shapes(max_dims=4, max_side=5)))
def test_values_come_back_from_their_bytes(values):
    parts = to_bytes(values)
    assert parts.dtype == np.uint8 and parts.shape == (values.itemsize, *values.shape)
    # Signs and exponents by themselves.
    np.testing.assert_array_equal(parts[-1] >> 7, np.signbit(values))
    assert from_bytes(parts).dtype == values.dtype and from_bytes(parts).tobytes() == values.tobytes()


def test_the_classifier_alone_starts_anew_for_another_number_of_classes(package):
    model = small(7)
    before = weights_of(model)
    copy_weights(model, weights_of(package), "the other")
    after, theirs = weights_of(model), weights_of(package)
    for path, value in others_than("classifier", after).items():
        np.testing.assert_array_equal(value, theirs[path], err_msg=path)
    np.testing.assert_array_equal(after["classifier/kernel"], before["classifier/kernel"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: others_than("stem_bn", values), "has nothing for 'stem_bn/gamma' of segnet_edge"),
        (
            lambda values: {**values, "stem/kernel": values["stem/kernel"][..., :1]},
            r"array of shape \(3, 3, 3, 1\) for",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_change_nothing(package, change, message):
    model = small()
    before = weights_of(model)
    with pytest.raises(ValueError, match=message):
        copy_weights(model, change(weights_of(package)), "the other")
    for path, value in weights_of(model).items():
        np.testing.assert_array_equal(value, before[path])


def test_too_large_a_value_is_refused_and_no_file_is_left(tmp_path):
    model = small()
    kernel = model.get_layer("stem").kernel
    kernel.assign(np.full(kernel.shape, 7e4))
    with pytest.raises(OverflowError, match="stem/kernel of segnet_edge does not fit"):
        write_weights(model, tmp_path / "weights.npz")
    assert not list(tmp_path.iterdir())


def test_weights_that_the_package_has_not_are_refused_with_those_that_it_has(package):
    with pytest.raises(ValueError, match=r"`weights` of segnet_edge must be None or 'streets' or .*; not 'camvid'"):
        build("segnet_edge", weights="camvid")


@pytest.mark.parametrize(("name", "data"), TRAINED)
def test_every_trained_network_knows_more_of_drawn_streets_than_chance(name, data):
    """Figures on real images are in docs/weights/; this shows that the weights arrive where they belong."""
    segmenter = load_segmenter(name)
    assert segmenter.input_size == (360, 480)
    examples = list(street_scenes(count=2, size=(360, 480)))
    right = [(segmenter.label(e.image) == e.label)[e.label != 255].mean() for e in examples]
    assert min(right) > 0.35  # Initial weights have 2 to 9 % of them right.


@pytest.mark.parametrize(("name", "data"), TRAINED)
@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 0.5}, r"need `width` 1\.0"), ({"preprocessing": "lcn"}, "need `preprocessing`")],
)
def test_trained_weights_refuse_a_network_built_otherwise(name, data, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, weights=data, **options)


def test_the_weights_of_segnet_basic_are_those_of_its_own_decoder():
    with pytest.raises(ValueError, match="need `decoder` 'segnet', not 'encoder_addition'"):
        build_segnet_basic(decoder="encoder_addition", weights="camvid")
