"""FCN, and the networks of the paper's decoder study: weights as counted by hand, and how they are wired."""

import keras
import numpy as np
import pytest
from small_networks import NETWORKS, small
from wiring import convolutions, sources

from keras_segnet.models import build_segnet_basic
from keras_segnet.models.graph import summarize_network

ENCODER = 7 * 7 * 64 * (3 + 64 + 64 + 64)
VGG16 = 14_714_688  # Biases included, as in keras.applications.


@pytest.mark.parametrize(
    ("network", "weights"),
    [
        ("segnet_basic", 1_415_040),  # The paper's 1.425 M.
        ("segnet_basic_encoder_addition", 1_415_040),
        ("segnet_basic_single_channel_decoder", 624_768),  # 0.625 M
        ("fcn_basic", 645_312),  # 0.65 M
        ("fcn_basic_no_addition", ENCODER + 64 * 11 + 4 * 8 * 8 * 11 * 11),  # 0.65 M
        ("fcn_basic_no_dim_reduction", ENCODER + 4 * 8 * 8 * 64 * 64 + 64 * 11),  # 1.625 M
        ("fcn_basic_no_addition_no_dim_reduction", ENCODER + 4 * 8 * 8 * 64 * 64 + 64 * 11),  # 1.625 M
        ("bilinear_interpolation", ENCODER + 64 * 11),  # 0.625 M
    ],
)
def test_the_networks_of_table_1_have_the_weights_that_their_description_gives(network, weights):
    model = NETWORKS[network].build()
    assert sum(np.prod(v.shape) for v in model.trainable_variables if v.name == "kernel") == weights


@pytest.mark.parametrize(
    ("network", "skips", "upsampling"),
    [
        ("fcn_32s", 0, 64**2),
        ("fcn_16s", 512 * 11 + 11, 4**2 + 32**2),
        ("fcn_8s", 512 * 11 + 11 + 256 * 11 + 11, 4**2 + 4**2 + 16**2),
    ],
)
def test_fcn_has_the_parameters_of_the_original(network, skips, upsampling):
    fully_connected = 7 * 7 * 512 * 4096 + 4096 + 4096 * 4096 + 4096
    expected = VGG16 + fully_connected + 4096 * 11 + 11 + skips + upsampling * 11 * 11
    assert summarize_network(NETWORKS[network]).parameters == expected


def test_each_decoder_of_encoder_addition_adds_the_maps_of_its_encoder():
    model = small("segnet_basic_encoder_addition")
    for stage in (1, 2, 3, 4):
        values = ("pool4", 0) if stage == 4 else (f"conv_decode{stage + 1}_add", 0)
        assert sources(model, f"upsample{stage}") == [values, (f"pool{stage}", 1), (f"conv{stage}_relu", 0)]
        assert sources(model, f"conv_decode{stage}") == [(f"upsample{stage}", 0)]
        assert sources(model, f"conv_decode{stage}_add") == [(f"conv_decode{stage}_bn", 0), (f"conv{stage}_relu", 0)]
    assert sources(model, "conv_classifier") == [("conv_decode1_add", 0)]


def test_a_single_channel_decoder_filters_each_map_by_itself():
    model = small("segnet_basic_single_channel_decoder")
    for stage in (1, 2, 3, 4):
        layer = model.get_layer(f"conv_decode{stage}")
        assert isinstance(layer, keras.layers.DepthwiseConv2D) and layer.kernel.shape == (7, 7, 8, 1)
        assert sources(model, f"conv_decode{stage}") == [(f"upsample{stage}", 0)]
        assert sources(model, f"conv_decode{stage}_bn") == [(f"conv_decode{stage}", 0)]


def test_a_depthwise_kernel_starts_by_he():
    kernel = np.asarray(NETWORKS["segnet_basic_single_channel_decoder"].build().get_layer("conv_decode1").kernel)
    assert kernel.std() == pytest.approx((2 / 49) ** 0.5, rel=0.05)


@pytest.mark.parametrize("decoder", ["segnet", "single_channel", "encoder_addition"])
def test_segnet_basic_takes_the_decoders_of_table_1(decoder):
    name = {
        "segnet": "segnet_basic",
        "single_channel": "segnet_basic_single_channel_decoder",
        "encoder_addition": "segnet_basic_encoder_addition",
    }[decoder]
    chosen = build_segnet_basic(4, (24, 32, 3), decoder=decoder, width=1 / 8, name=name)
    assert chosen.get_config() == small(name).get_config()


def test_another_decoder_is_refused():
    with pytest.raises(ValueError, match="decoder must be one of 'segnet', 'single_channel', 'encoder_addition'"):
        build_segnet_basic(decoder="fcn")


def decoder_of(model):
    """Kind and sources of each layer behind the last pooling, but for the crops, which are looked through."""
    found = {}
    for layer in model.layers[[layer.name for layer in model.layers].index("pool4") + 1 :]:
        inputs = [name for name, _ in sources(model, layer.name)]
        while any(name.endswith("_crop") for name in inputs):
            inputs = [sources(model, name)[0][0] if name.endswith("_crop") else name for name in inputs]
        if not layer.name.endswith("_crop"):
            found[layer.name] = (type(layer).__name__, *inputs)
    return found


def test_fcn_basic_and_its_variants_are_wired_as_described():
    fcn_basic = decoder_of(small("fcn_basic"))
    for stage in (4, 3, 2, 1):
        source = "score_pool4" if stage == 4 else f"fuse_pool{stage}"
        assert fcn_basic[f"score_pool{stage}"] == ("Conv2D", f"pool{stage}")
        assert fcn_basic[f"upsample{stage}"] == ("Conv2DTranspose", source)
        if stage > 1:
            assert fcn_basic[f"fuse_pool{stage - 1}"] == ("Add", f"upsample{stage}", f"score_pool{stage - 1}")
    assert fcn_basic["prob"] == ("Softmax", "upsample1")
    assert len(fcn_basic) == 4 + 4 + 3 + 1

    assert decoder_of(small("fcn_basic_no_addition")) == {
        "score_pool4": ("Conv2D", "pool4"),
        "upsample4": ("Conv2DTranspose", "score_pool4"),
        **{f"upsample{i}": ("Conv2DTranspose", f"upsample{i + 1}") for i in (3, 2, 1)},
        "prob": ("Softmax", "upsample1"),
    }
    assert decoder_of(small("fcn_basic_no_dim_reduction")) == {
        "upsample4": ("Conv2DTranspose", "pool4"),
        **{f"upsample{i}": ("Conv2DTranspose", f"fuse_pool{i}") for i in (3, 2, 1)},
        **{f"fuse_pool{i}": ("Add", f"upsample{i + 1}", f"pool{i}") for i in (3, 2, 1)},
        "conv_classifier": ("Conv2D", "upsample1"),
        "prob": ("Softmax", "conv_classifier"),
    }
    assert decoder_of(small("fcn_basic_no_addition_no_dim_reduction")) == {
        "upsample4": ("Conv2DTranspose", "pool4"),
        **{f"upsample{i}": ("Conv2DTranspose", f"upsample{i + 1}") for i in (3, 2, 1)},
        "conv_classifier": ("Conv2D", "upsample1"),
        "prob": ("Softmax", "conv_classifier"),
    }
    assert decoder_of(small("bilinear_interpolation")) == {
        "score_pool4": ("Conv2D", "pool4"),
        "upsample4": ("UpSampling2D", "score_pool4"),
        **{f"upsample{i}": ("UpSampling2D", f"upsample{i + 1}") for i in (3, 2, 1)},
        "prob": ("Softmax", "upsample1"),
    }


def test_learned_upsampling_starts_as_the_fixed_one_but_at_the_border():
    size = {"input_shape": (96, 80, 3), "classifier_activation": None}
    learned, fixed = small("fcn_basic_no_addition", **size), small("bilinear_interpolation", **size)
    for layer in fixed.layers:
        if layer.weights:
            layer.set_weights(learned.get_layer(layer.name).get_weights())
    image = np.random.default_rng(0).integers(0, 256, (1, 96, 80, 3)).astype("float32")
    inside = np.s_[
        :, 24:-24, 24:-24
    ]  # Half a pixel of each pooled map, which the later steps spread: 8 + 4 + 2 + 1 + 8.
    np.testing.assert_allclose(learned(image)[inside], fixed(image)[inside], rtol=1e-4, atol=1e-3)


def test_fcn_is_wired_as_released():
    for name, last in (("fcn_32s", "score_fr"), ("fcn_16s", "fuse_pool4"), ("fcn_8s", "fuse_pool3")):
        model = small(name)
        layers = [layer.name for layer in convolutions(model)]
        assert layers[:15] == [
            *(f"conv{stage}_{i}" for stage, n in enumerate((2, 2, 3, 3, 3), start=1) for i in range(1, n + 1)),
            "fc6",
            "fc7",
        ]
        assert model.get_layer("fc6").kernel_size == (7, 7) and model.get_layer("fc7").kernel_size == (1, 1)
        assert not [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        dropouts = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
        assert dropouts == {"drop6": 0.5, "drop7": 0.5}
        assert sources(model, "drop6") == [("fc6_relu", 0)] and sources(model, "score_fr") == [("drop7", 0)]
        upsampling = {"fcn_32s": "upscore", "fcn_16s": "upscore16", "fcn_8s": "upscore8"}[name]
        assert sources(model, upsampling) == [(last, 0)]
        assert sources(model, f"{upsampling}_crop") == [(upsampling, 0), ("imagenet_normalization", 0)]
    assert sources(model, "upscore2") == [("score_fr", 0)]
    assert sources(model, "fuse_pool4") == [("upscore2_crop", 0), ("score_pool4", 0)]
    assert sources(model, "score_pool4") == [("pool4", 0)]
    assert sources(model, "upscore_pool4") == [("fuse_pool4", 0)]
    assert sources(model, "fuse_pool3") == [("upscore_pool4_crop", 0), ("score_pool3", 0)]
    assert sources(model, "score_pool3") == [("pool3", 0)]
