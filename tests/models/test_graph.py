"""Costs, receptive fields and score layers, against numbers worked out by hand and against what units really see."""

import math

import keras
import numpy as np
import pytest
from batch_statistics import settle
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from small_networks import small

from keras_segnet.errors import InputError
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D, fusion
from keras_segnet.models import NETWORKS, split, summarize
from keras_segnet.models.graph import score_layers, summarize_network


def summary_of(*stack, size=(12, 16, 3)):
    return summarize(keras.Sequential([keras.Input(size), *stack]))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(5, 3, padding="same"), 12 * 16 * 5 * (3 * 3 * 3)),
        (layers.Conv2D(5, (3, 2), padding="valid"), 10 * 15 * 5 * (3 * 2 * 3)),
        (layers.Conv2D(5, 3, strides=2, padding="same", use_bias=False), 6 * 8 * 5 * (3 * 3 * 3)),
        (layers.Conv2D(5, 3, dilation_rate=2, padding="valid"), 8 * 12 * 5 * (3 * 3 * 3)),
        (layers.Conv2D(6, 3, groups=3, padding="same"), 12 * 16 * 6 * (3 * 3 * 1)),
        (layers.DepthwiseConv2D(5, padding="same"), 12 * 16 * 3 * (5 * 5)),
        (layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 12 * 16 * 6 * (3 * 3)),
        (layers.Conv2DTranspose(4, 8, 2, padding="same"), 12 * 16 * 3 * (8 * 8 * 4)),
        (layers.Dense(7), 12 * 16 * 7 * 3),
        (layers.BatchNormalization(), 0),
        (layers.MaxPooling2D(2), 0),
        (layers.UpSampling2D(2, interpolation="bilinear"), 0),
    ],
)
def test_multiply_adds_of_a_layer_are_as_counted_by_hand(layer, expected):
    assert summary_of(layer).multiply_adds == expected


def test_costs_add_up_over_a_graph_and_a_layer_that_is_called_twice_costs_twice():
    image = keras.Input((12, 16, 3))
    shared = layers.Conv2D(3, 3, padding="same")
    model = keras.Model(image, layers.Dense(2)(layers.Add()([shared(image), shared(shared(image))])))
    # Keras merges nothing: `shared(image)` is called twice.
    assert summarize(model).multiply_adds == 12 * 16 * (3 * 27 * 3 + 6)
    assert summarize(model).parameters == 27 * 3 + 3 + 6 + 2


def test_running_averages_are_no_parameters():
    assert summary_of(layers.BatchNormalization()).parameters == 6


def test_a_network_of_open_size_has_no_cost_but_sees_as_far():
    of_open_size = summarize(small("segnet_basic", input_shape=(None, None, 3)))
    assert of_open_size.multiply_adds is None
    assert of_open_size.receptive_field == (106, 106)


def test_a_network_can_be_split_behind_any_layer_and_its_halves_be_kept(tmp_path):
    model = small("segnet_basic")
    encoder, decoder = split(model, "conv2_relu")
    assert [layer.name for layer in encoder.layers][-1] == "conv2_relu"
    # conv2_relu goes to pool2 and, for its size, to upsample2; conv1_relu for its size, and the indices, to upsample1.
    assert [tuple(tensor.shape) for tensor in decoder.inputs] == [
        (None, 12, 16, 8), (None, 12, 16, 8), (None, 24, 32, 8)
    ]  # fmt: skip
    image = np.random.default_rng(0).integers(0, 256, (1, 24, 32, 3)).astype("float32")
    features = image
    for half in (encoder, decoder):
        half.save(tmp_path / "half.keras")
        features = keras.models.load_model(tmp_path / "half.keras")(features)
    np.testing.assert_allclose(features, model(image), atol=1e-6)


def test_halves_whose_poolings_are_kernels_of_their_own_give_what_the_whole_gives(monkeypatch):
    """As those of large maps are in graphs of known size."""
    monkeypatch.setattr(fusion, "LEAST_FUSED", 0)
    keras.utils.set_random_seed(1)
    model = settle(small("segnet_basic"))
    encoder, decoder = split(model)
    image = np.random.default_rng(1).integers(0, 256, (2, 24, 32, 3)).astype("float32")
    expected, handed_over = model(image), encoder(image)  # Eagerly, where none is compiled.
    np.testing.assert_allclose(decoder(encoder.predict_on_batch(image)), expected, atol=1e-4)
    np.testing.assert_allclose(decoder.predict_on_batch(handed_over), expected, atol=1e-4)


def test_a_network_without_such_a_layer_is_not_split():
    with pytest.raises(InputError, match="segnet_basic has no layer 'pool9'"):
        split(small("segnet_basic"), "pool9")


def test_a_model_inside_a_model_is_refused():
    with pytest.raises(ValueError, match="has a model inside, inner"):
        summary_of(keras.Sequential([keras.Input((12, 16, 3)), layers.Conv2D(3, 3)], name="inner"))


LENGTH = 64


@st.composite
def windows(draw):
    """Kernel size, stride, dilation and whether it is a pooling, for each layer of a path."""
    path = []
    for _ in range(draw(st.integers(0, 4))):
        pooling = draw(st.booleans())
        stride = draw(st.integers(1, 2))
        dilation = 1 if pooling or stride > 1 else draw(st.integers(1, 3))
        path.append((draw(st.integers(stride, 3)), stride, dilation, pooling))
    return path


def seen_by_first_unit(path):
    """The elements of a line that the first unit behind a path depends on."""
    seen = [{i} for i in range(LENGTH)]
    for size, stride, dilation, _ in path:
        reach = (size - 1) * dilation
        seen = [
            set().union(*(seen[start + k * dilation] for k in range(size)))
            for start in range(0, len(seen) - reach, stride)
        ]
    return seen[0]


@settings(max_examples=100)
@given(windows())
def test_a_receptive_field_is_what_a_unit_depends_on(path):
    stack = [
        layers.MaxPooling2D((size, 1), (stride, 1)) if pooling
        else layers.Conv2D(1, (size, 1), (stride, 1), dilation_rate=(dilation, 1))
        for size, stride, dilation, pooling in path
    ]  # fmt: skip
    seen = seen_by_first_unit(path)
    assert summary_of(layers.ReLU(), *stack, size=(LENGTH, 4, 1)).receptive_field == (max(seen) - min(seen) + 1, 1)


def test_of_paths_that_meet_the_longest_counts():
    image = keras.Input((12, 16, 3))
    short, long = layers.Conv2D(4, 1)(image), layers.Conv2D(4, 3, dilation_rate=2, padding="same")(image)
    model = keras.Model(image, layers.Conv2D(2, (3, 1), padding="same")(layers.Add()([short, long])))
    assert summarize(model).receptive_field == (7, 5)


@pytest.mark.parametrize(
    "enlarge",
    [
        lambda x, image: layers.UpSampling2D(2)(x),
        lambda x, image: layers.Conv2DTranspose(3, 4, 2, padding="same")(x),
        lambda x, image: layers.Resizing(12, 16)(x),
        lambda x, image: MaxUnpooling2D()(x, MaxPoolingWithArgmax2D()(image)[1], like=image),
    ],
)
def test_what_lies_behind_an_enlargement_is_no_part_of_the_encoder(enlarge):
    image = keras.Input((12, 16, 3))
    x = enlarge(layers.MaxPooling2D(2)(image), image)
    model = keras.Model(image, layers.Conv2D(2, 7, padding="same")(x))
    assert summarize(model).receptive_field == (2, 2)


def test_what_is_pooled_whole_sees_the_whole_image():
    assert summary_of(layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()).receptive_field == (np.inf, np.inf)


def test_a_network_is_summarised_as_if_its_weights_had_values():
    without = summarize_network(NETWORKS["segnet_basic_single_channel_decoder"])
    assert without == summarize(NETWORKS["segnet_basic_single_channel_decoder"].build())


BASIC = [name for name in NETWORKS if any(part in name for part in ("basic", "bilinear"))]


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        # By hand, from the pooling back: k + (k - 1) of each layer before it, twice as much behind each pooling.
        *((name, 106) for name in BASIC),  # The paper's figure, section 3.2.
        ("segnet", 212),
        ("bayesian_segnet", 212),
        ("segnet_edge", 557),  # 4, 5, 5, 3 and 1 convolutions of 3x3 by stage, and the stem, whose stride doubles.
        *((name, 404) for name in ("fcn_32s", "fcn_16s", "fcn_8s")),  # Long et al., Table 1.
        ("deconvnet", 404),  # VGG16's fc6, as FCN's.
        ("unet", 140),
        ("deeplab_largefov", 435),  # See test_rivals.py.
        ("deeplab_v2", 227 + 2 * 24 * 8),  # pool5, and fc6_4 of rate 24 at an eighth of the size.
        ("deeplab_v3", math.inf),  # The image-level feature.
    ],
)
def test_networks_see_as_far_as_computed_by_hand(network, expected):
    assert summarize_network(NETWORKS[network]).receptive_field == (expected, expected)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("segnet", ["conv1_1_D"]),
        ("segnet_basic", ["conv_classifier"]),
        ("fcn_basic", [f"score_pool{i}" for i in (1, 2, 3, 4)] + [f"upsample{i}" for i in (1, 2, 3, 4)]),
        ("fcn_basic_no_dim_reduction", ["conv_classifier"]),
        ("bilinear_interpolation", ["score_pool4"]),
        ("fcn_8s", ["score_fr", "score_pool3", "score_pool4", "upscore2", "upscore8", "upscore_pool4"]),
    ],
)
def test_score_layers_are_those_whose_filters_are_classes(network, expected):
    assert score_layers(small(network)) == expected
