from itertools import pairwise

import keras
import numpy as np
import pytest
from small_networks import small
from wiring import convolutions, sources

from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import NETWORKS, build, build_segnet, build_segnet_basic
from keras_segnet.models.vgg16 import fold_caffe_colours, load_vgg16

ENCODER = [f"conv{stage}_{i}" for stage, n in enumerate((2, 2, 3, 3, 3), start=1) for i in range(1, n + 1)]
DECODER = [f"{name}_D" for name in reversed(ENCODER)]
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.fixture(scope="module")
def segnet():
    return build_segnet(11)


@pytest.fixture(scope="module")
def segnet_basic():
    return build_segnet_basic(11)


def random_image(height, width):
    return np.random.default_rng(height).integers(0, 256, (1, height, width, 3), dtype=np.uint8)


def order(model):
    return [layer.name for layer in model.layers]


# SegNet.


def test_segnet_has_the_parameters_of_the_paper(segnet):
    assert sum(int(np.prod(w.shape)) for w in segnet.trainable_weights) == 29_449_355


def test_segnet_has_26_convolutions_named_as_released(segnet):
    assert [layer.name for layer in convolutions(segnet)] == ENCODER + DECODER
    assert len(ENCODER + DECODER) == 26
    for name in (ENCODER + DECODER)[:-1]:
        assert isinstance(segnet.get_layer(f"{name}_bn"), keras.layers.BatchNormalization)
        assert isinstance(segnet.get_layer(f"{name}_relu"), keras.layers.ReLU)
    assert not {"conv1_1_D_bn", "conv1_1_D_relu"} & set(order(segnet))


@pytest.mark.parametrize(
    ("convolution", "channels"),
    [
        *zip(ENCODER, [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512], strict=True),
        *zip(DECODER, [512, 512, 512, 512, 512, 512, 256, 256, 256, 128, 128, 64, 64], strict=True),
    ],
)
def test_channels_change_at_the_first_convolution_of_an_encoder_and_the_last_of_a_decoder(
    segnet, convolution, channels
):
    following = {name: after for names in (ENCODER, DECODER) for name, after in pairwise(names)}
    kernel = segnet.get_layer(convolution).kernel.shape
    assert kernel[:3] == (3, 3, channels)
    if convolution in following:
        assert kernel[3] == segnet.get_layer(following[convolution]).kernel.shape[2]
    else:
        assert kernel[3] == {"conv5_3": 512, "conv1_1_D": 11}[convolution]


def test_each_convolution_is_followed_by_batch_normalisation_and_relu(segnet):
    for name in (ENCODER + DECODER)[:-1]:
        assert sources(segnet, f"{name}_bn") == [(name, 0)]
        assert sources(segnet, f"{name}_relu") == [(f"{name}_bn", 0)]
    assert sources(segnet, "prob") == [("conv1_1_D", 0)]


def test_an_encoder_stage_ends_in_its_pooling(segnet):
    for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
        assert isinstance(segnet.get_layer(f"pool{stage}"), MaxPoolingWithArgmax2D)
        assert sources(segnet, f"pool{stage}") == [(f"conv{stage}_{count}_relu", 0)]
        if stage > 1:
            assert sources(segnet, f"conv{stage}_1") == [(f"pool{stage - 1}", 0)]


@pytest.mark.parametrize(
    ("stage", "values", "like"),
    [
        (5, "pool5", "conv5_3_relu"),
        (4, "conv5_1_D_relu", "conv4_3_relu"),
        (3, "conv4_1_D_relu", "conv3_3_relu"),
        (2, "conv3_1_D_relu", "conv2_2_relu"),
        (1, "conv2_1_D_relu", "conv1_2_relu"),
    ],
)
def test_a_decoder_stage_unpools_first_and_with_the_indices_of_its_own_encoder(segnet, stage, values, like):
    assert isinstance(segnet.get_layer(f"upsample{stage}"), MaxUnpooling2D)
    assert sources(segnet, f"upsample{stage}") == [(values, 0), (f"pool{stage}", 1), (like, 0)]
    first = {5: 3, 4: 3, 3: 3, 2: 2, 1: 2}[stage]
    assert sources(segnet, f"conv{stage}_{first}_D") == [(f"upsample{stage}", 0)]


def test_dropout_lies_where_bayesian_segnet_has_it():
    model = small("segnet", dropout=0.5)
    found = {layer.name: layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    places = {name: sources(model, name)[0] for name in found}
    assert places == {
        **{f"encdrop{stage}": (f"pool{stage}", 0) for stage in (3, 4, 5)},
        **{f"decdrop{stage}": (f"conv{stage}_1_D_relu", 0) for stage in (5, 4, 3)},
    }
    assert {layer.rate for layer in found.values()} == {0.5}
    assert sources(model, "conv4_1") == [("encdrop3", 0)]
    assert sources(model, "upsample5")[0] == ("encdrop5", 0)
    assert sources(model, "upsample4")[0] == ("decdrop5", 0)
    assert sources(model, "upsample2")[0] == ("decdrop3", 0)


@pytest.mark.parametrize("network", ["segnet", "segnet_basic"])
def test_there_is_no_dropout_unless_asked_for(network):
    assert not [layer for layer in small(network).layers if isinstance(layer, keras.layers.Dropout)]


@pytest.mark.parametrize("network", ["segnet", "segnet_basic"])
def test_the_bayesian_networks_are_these_with_dropout_of_one_half(network):
    bayesian, asked_for = small(f"bayesian_{network}"), small(network, dropout=0.5)
    assert bayesian.get_config()["layers"] == asked_for.get_config()["layers"]


# SegNet-Basic.


def test_segnet_basic_has_the_convolution_weights_of_the_paper(segnet_basic):
    assert sum(int(np.prod(layer.kernel.shape)) for layer in convolutions(segnet_basic)) == 1_415_040


def test_segnet_basic_is_wired_as_released(segnet_basic):
    names = [layer.name for layer in convolutions(segnet_basic)]
    assert names == [
        *(f"conv{i}" for i in (1, 2, 3, 4)), *(f"conv_decode{i}" for i in (4, 3, 2, 1)), "conv_classifier"
    ]  # fmt: skip
    assert [layer.kernel.shape[0] for layer in convolutions(segnet_basic)] == [7] * 8 + [1]
    assert sources(segnet_basic, "conv1") == [("norm", 0)]
    for stage in (1, 2, 3, 4):
        values = ("pool4", 0) if stage == 4 else (f"conv_decode{stage + 1}_bn", 0)
        assert sources(segnet_basic, f"pool{stage}") == [(f"conv{stage}_relu", 0)]
        assert sources(segnet_basic, f"upsample{stage}") == [values, (f"pool{stage}", 1), (f"conv{stage}_relu", 0)]
        assert sources(segnet_basic, f"conv_decode{stage}") == [(f"upsample{stage}", 0)]
        assert sources(segnet_basic, f"conv_decode{stage}_bn") == [(f"conv_decode{stage}", 0)]
    assert sources(segnet_basic, "conv_classifier") == [("conv_decode1_bn", 0)]


def test_segnet_basic_has_relu_in_its_encoder_only(segnet_basic):
    relus = [layer.name for layer in segnet_basic.layers if isinstance(layer, keras.layers.ReLU)]
    assert relus == [f"conv{i}_relu" for i in (1, 2, 3, 4)]


def test_dropout_lies_where_bayesian_segnet_basic_has_it():
    model = small("segnet_basic", dropout=0.25)
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert {layer.name: sources(model, layer.name)[0] for layer in found} == {
        "encdrop3": ("pool3", 0),
        "encdrop4": ("pool4", 0),
        "decdrop4": ("conv_decode4_bn", 0),
        "decdrop3": ("conv_decode3_bn", 0),
    }
    assert {layer.rate for layer in found} == {0.25}


def test_a_unit_behind_pool4_of_segnet_basic_sees_106_by_106_pixels():
    # All weights positive and no normalisation: a bright pixel on black brightens exactly the units that see it, since
    # nothing cancels and a maximum of non-negative values is positive where one of them is.
    model = build_segnet_basic(2, (160, 160, 3), width=1 / 64, preprocessing=None)
    for layer in convolutions(model):
        layer.set_weights([np.full(layer.kernel.shape, 0.1), np.zeros(layer.bias.shape)])
    until_pool4 = keras.Model(model.input, model.get_layer("pool4").output[0])
    # The centre unit, the 6th of 10, lies over the pixels 80..95; 106 centred on it are 35..140.
    first, last = 35, 140
    along_a_line = [(i, 88) for i in range(160)] + [(88, i) for i in range(160)]
    corners = [(first, first), (first, last), (last, first), (last, last)]
    beyond = [(first - 1, first), (first, first - 1), (last + 1, last), (last, last + 1)]
    seen = []
    for row, column in along_a_line + corners + beyond:
        image = np.zeros((1, 160, 160, 3), "float32")
        image[0, row, column] = 1000
        seen.append(image)
    bright = until_pool4.predict(np.concatenate(seen), batch_size=16, verbose=0)[:, 5, 5, 0] > 0
    expected = [first <= i <= last for i in range(160)]
    assert bright.tolist() == expected + expected + [True] * 4 + [False] * 4
    assert sum(expected) == 106


# Both.


@pytest.mark.parametrize(("width", "factor"), [(0.25, 0.25), (0.5, 0.5), (0.001, 0)])
def test_width_scales_every_channel_count_but_the_classifiers(width, factor):
    full = {
        "segnet": [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6 + [512] * 5 + [256] * 3 + [128] * 2 + [64] * 2,
        "segnet_basic": [64] * 8,
    }
    for network, expected in full.items():
        filters = [layer.filters for layer in convolutions(small(network, width=width))]
        assert filters == [max(1, round(n * factor)) for n in expected] + [4]


def test_imagenet_preprocessing_takes_colours_to_torchvisions_convention():
    model = small("segnet_basic", preprocessing="imagenet")
    image = random_image(24, 32)
    result = keras.Model(model.input, model.get_layer("imagenet_normalization").output).predict(image, verbose=0)
    np.testing.assert_allclose(result, (image / 255 - MEAN) / STD, atol=1e-5)


def test_lrn_preprocessing_divides_by_the_energy_of_the_pixel():
    model = small("segnet", preprocessing="lrn")
    image = random_image(24, 32)
    result = keras.Model(model.input, model.get_layer("norm").output).predict(image, verbose=0)
    energy = (image.astype("float64") ** 2).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(result, image / (1 + 2e-5 * energy) ** 0.75, rtol=1e-5)


def test_defaults_are_the_papers():
    assert [NETWORKS[name].build for name in ("segnet", "segnet_basic")] == [build_segnet, build_segnet_basic]
    assert "imagenet_normalization" in order(small("segnet"))
    assert "norm" in order(small("segnet_basic"))


def test_linear_is_another_word_for_logits():
    logits, linear = (small("segnet_basic", classifier_activation=word) for word in (None, "linear"))
    assert logits.get_config() == linear.get_config()


# Initial weights.

VGG16_SHAPES = dict(
    zip(
        (f"block{name[4]}_conv{name[6]}" for name in ENCODER),
        zip([3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512],
            [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512], strict=True),
        strict=True,
    )
)  # fmt: skip


@pytest.fixture(scope="module")
def random_vgg16():
    random = np.random.default_rng(0)
    arrays = {}
    for name, (channels, filters) in VGG16_SHAPES.items():
        arrays[f"{name}/kernel"] = (0.01 * random.standard_normal((3, 3, channels, filters), "float32")).astype("f2")
        arrays[f"{name}/bias"] = random.standard_normal(filters, "float32").astype("f2")
    return arrays


def assert_encoder_holds(model, arrays):
    for ours, theirs in zip(ENCODER, VGG16_SHAPES, strict=True):
        kernel, bias = model.get_layer(ours).get_weights()
        np.testing.assert_array_equal(kernel, np.asarray(arrays[f"{theirs}/kernel"], "float32"), err_msg=ours)
        np.testing.assert_array_equal(bias, np.asarray(arrays[f"{theirs}/bias"], "float32"), err_msg=ours)


def test_weights_of_an_npz_are_held_by_the_encoder(random_vgg16, tmp_path):
    np.savez(tmp_path / "vgg16.npz", **random_vgg16)
    assert_encoder_holds(build_segnet(11, weights=tmp_path / "vgg16.npz"), random_vgg16)


def test_fcn_starts_from_vgg16_too(random_vgg16, tmp_path):
    np.savez(tmp_path / "vgg16.npz", **random_vgg16)
    assert_encoder_holds(build("fcn_8s", 11, (32, 32, 3), weights=tmp_path / "vgg16.npz"), random_vgg16)


def test_weights_trained_on_imagenet_are_held_by_the_encoder(vgg16_file):
    assert_encoder_holds(build_segnet(11, weights=str(vgg16_file)), np.load(vgg16_file))


def without_last_bias(arrays):
    return {key: value for key, value in arrays.items() if key != "block5_conv3/bias"}


def with_another_shape(arrays):
    return {**arrays, "block5_conv3/kernel": arrays["block5_conv3/kernel"][:, :, :-1]}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_last_bias, "holds no array 'block5_conv3/bias'"),
        (with_another_shape, r"'block5_conv3/kernel' has shape \(3, 3, 511, 512\); layer 'conv5_3' takes"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(segnet, random_vgg16, tmp_path, spoil, message):
    np.savez(tmp_path / "spoilt.npz", **spoil(random_vgg16))
    before = segnet.get_layer("conv1_1").get_weights()
    with pytest.raises(ValueError, match=message):
        load_vgg16(segnet, tmp_path / "spoilt.npz")
    for old, new in zip(before, segnet.get_layer("conv1_1").get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_a_file_that_does_not_exist_is_named(segnet, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nowhere\.npz"):
        load_vgg16(segnet, tmp_path / "nowhere.npz")


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 torn", "one array"])
def test_a_file_that_is_no_npz_is_named(segnet, tmp_path, content):
    path = tmp_path / "weights.npz"
    if content == "one array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.npz cannot be read as an \.npz"):
        load_vgg16(segnet, path)


def test_an_npz_of_objects_is_not_unpickled(segnet, random_vgg16, tmp_path):
    np.savez(tmp_path / "objects.npz", **{**random_vgg16, "block1_conv1/bias": np.array([{}], object)})
    with pytest.raises(ValueError, match="cannot be read"):
        load_vgg16(segnet, tmp_path / "objects.npz")


@pytest.mark.parametrize(
    ("options", "message"), [({"width": 0.5}, "width"), ({"preprocessing": "lrn"}, "preprocessing"),
                             ({"preprocessing": None}, "preprocessing")]
)  # fmt: skip
@pytest.mark.parametrize("weights", ["imagenet", "weights.npz"])
def test_weights_need_the_net_that_they_are_for(options, message, weights):
    with pytest.raises(ValueError, match=message):
        build_segnet(11, weights=weights, **options)


def correlate(image, kernel, bias):
    """Plain "valid" convolution."""
    rows, columns = image.shape[0] - 2, image.shape[1] - 2
    result = np.zeros((rows, columns, kernel.shape[3])) + bias
    for a in range(3):
        for b in range(3):
            result += image[a : a + rows, b : b + columns] @ kernel[a, b]
    return result


def test_folded_colours_give_what_caffes_give():
    random = np.random.default_rng(5)
    kernel, bias = random.normal(size=(3, 3, 3, 4)), random.normal(size=4)
    rgb = random.integers(0, 256, (8, 9, 3))
    caffes = correlate(rgb[..., ::-1] - np.array([103.939, 116.779, 123.68]), kernel, bias)
    ours = correlate((rgb / 255 - MEAN) / STD, *fold_caffe_colours(kernel, bias))
    np.testing.assert_allclose(ours, caffes, rtol=1e-9, atol=1e-9)


def test_imagenet_weights_of_keras_give_the_same_features_from_colours_0_to_255(monkeypatch):
    vgg16 = keras.applications.VGG16(include_top=False, weights=None)
    random = np.random.default_rng(6)
    vgg16.get_layer("block1_conv1").bias.assign(random.normal(size=64))
    calls = []
    monkeypatch.setattr(keras.applications, "VGG16", lambda **options: calls.append(options) or vgg16)
    model = build_segnet(11, (8, 9, 3), weights="imagenet")
    assert calls == [{"include_top": False, "weights": "imagenet"}]

    image = random.integers(0, 256, (1, 8, 9, 3)).astype("float32")
    first = keras.Model(model.input, model.get_layer("conv1_1").output).predict(image, verbose=0)
    kernel, bias = vgg16.get_layer("block1_conv1").get_weights()
    caffes = correlate(image[0, ..., ::-1] - np.array([103.939, 116.779, 123.68]), kernel, bias)
    np.testing.assert_allclose(first[0, 1:-1, 1:-1], caffes, rtol=1e-4, atol=1e-3)
    for ours, theirs in list(zip(ENCODER, VGG16_SHAPES, strict=True))[1:]:
        for one, other in zip(model.get_layer(ours).get_weights(), vgg16.get_layer(theirs).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
