"""DeconvNet, U-Net and the DeepLabs: what is theirs alone. What holds for every network is in test_every_network.py."""

import keras
import numpy as np
import pytest
from batch_statistics import settle

from keras_segnet.models import build
from keras_segnet.models.resnet50 import load_resnet50

ENCODER = [f"conv{stage}_{i}" for stage, n in enumerate((2, 2, 3, 3, 3), start=1) for i in range(1, n + 1)]
VGG16 = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
RIVALS = ["deconvnet", "unet", "deeplab_largefov", "deeplab_v2", "deeplab_v3"]


@pytest.fixture(scope="module")
def net():
    """Builds each network once: a hundredth as wide as the original, for images of 45x61."""
    built = {}

    def get(name, **options):
        key = (name, *options.items())
        if key not in built:
            built[key] = build(name, 4, **{"input_shape": (45, 61, 3), "width": 1 / 128, **options})
        return built[key]

    return get


def full(name, **options):
    """A network of full width whose weights have shapes but no memory."""
    with keras.StatelessScope(initialize_variables=False):
        return build(name, **options)


def sources(model, name):
    """The layers that the inputs of a layer come from; with the number of the output, where that is not the first."""
    inputs = model.get_layer(name).input
    history = [x._keras_history for x in (inputs if isinstance(inputs, list) else [inputs])]
    return [(h.operation.name, h.tensor_index) if h.tensor_index else h.operation.name for h in history]


def dropouts(model):
    return {
        layer.name: (sources(model, layer.name)[0], layer.rate)
        for layer in model.layers
        if isinstance(layer, keras.layers.Dropout)
    }


def sizes(model, *names):
    return [model.get_layer(name).output.shape[1:3] for name in names]


def shapes(model):
    """Kernels by name of the convolution, as (size, channels, filters)."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            found[layer.name] = (layer.kernel.shape[0], *layer.kernel.shape[:1:-1])
        elif isinstance(layer, keras.layers.Conv2D):
            found[layer.name] = (layer.kernel.shape[0], *layer.kernel.shape[2:])
    return found


def chain(channels, filters, size=3):
    """Kernels of convolutions that follow each other."""
    return [(size, before, after) for before, after in zip([channels, *filters[:-1]], filters, strict=True)]


def parameters(kernels, *, normalised=()):
    """Weights and biases of convolutions, and scale and offset of the normalised ones."""
    return sum(k * k * i * o + o for k, i, o in kernels) + sum(2 * o for _, _, o in normalised)


def trainable(model):
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


# What they are made of.


def test_deconvnet_is_vgg16_and_its_mirror():
    model = full("deconvnet")
    decoder = [512] * 5 + [256] * 3 + [128] * 2 + [64] * 3
    kernels = [*chain(3, VGG16), (7, 512, 4096), (1, 4096, 4096), (7, 4096, 512), *chain(512, decoder)]
    names = [f"deconv{stage}_{i}" for stage, n in ((5, 3), (4, 3), (3, 3), (2, 2), (1, 2)) for i in range(1, n + 1)]
    assert shapes(model) == dict(
        zip([*ENCODER, "fc6", "fc7", "fc6-deconv", *names, "seg-score"], [*kernels, (1, 64, 11)], strict=True)
    )
    assert trainable(model) == parameters([*kernels, (1, 64, 11)], normalised=kernels) == 251_805_003


@pytest.mark.parametrize("normalised", [True, False])
def test_unet_has_the_papers_convolutions(normalised):
    model = full("unet", batch_normalization=normalised)
    expected = {}
    for level, channels in enumerate((64, 128, 256, 512, 1024)):
        expected[f"conv_d{level}a-b"] = (3, channels // 2 if level else 3, channels)
        expected[f"conv_d{level}b-c"] = (3, channels, channels)
    for level, channels, below in ((3, 512, "d4c"), (2, 256, "u3d"), (1, 128, "u2d"), (0, 64, "u1d")):
        expected[f"upconv_{below}_u{level}a"] = (2, 2 * channels, channels)
        expected[f"conv_u{level}b-c"] = (3, 2 * channels, channels)
        expected[f"conv_u{level}c-d"] = (3, channels, channels)
    expected["conv_u0d-score"] = (1, 64, 11)
    assert shapes(model) == expected
    threes = [shape for shape in expected.values() if shape[0] == 3] if normalised else []
    assert trainable(model) == parameters(expected.values(), normalised=threes)
    # The paper's net has one channel and two classes.
    assert parameters(expected.values()) - 31_030_658 == 9 * 64 * (3 - 1) + 65 * (11 - 2)


def test_deeplab_largefov_has_the_parameters_of_table_6():
    model = full("deeplab_largefov")
    kernels = [*chain(3, VGG16), (3, 512, 1024), (1, 1024, 1024), (1, 1024, 11)]
    assert list(shapes(model).items()) == list(zip([*ENCODER, "fc6", "fc7", "fc8"], kernels, strict=True))
    assert trainable(model) == parameters(kernels) == 20_495_179
    assert 4e-6 * trainable(model) == pytest.approx(83, rel=0.02)


def test_scales_of_deeplab_largefov_are_two_convolutions_of_128_each():
    single, multiple = full("deeplab_largefov"), full("deeplab_largefov", multi_scale=True)
    added = {name: shape for name, shape in shapes(multiple).items() if name not in shapes(single)}
    expected = {}
    for source, channels in (("data", 3), ("pool1", 64), ("pool2", 128), ("pool3", 256), ("pool4", 512)):
        expected |= {f"{source}_conv": (3, channels, 128), f"{source}_fc": (1, 128, 128), f"{source}_ms": (1, 128, 11)}
    assert added == expected
    assert trainable(multiple) - trainable(single) == parameters(expected.values())


def test_deeplab_v2_has_four_branches():
    model = full("deeplab_v2")
    branch = [(3, 512, 1024), (1, 1024, 1024), (1, 1024, 11)]
    assert trainable(model) == parameters([*chain(3, VGG16), *4 * branch]) == 37_836_652
    assert {name: shape for name, shape in shapes(model).items() if name.endswith("_4")} == dict(
        zip(("fc6_4", "fc7_4", "fc8_4"), branch, strict=True)
    )


def test_deeplab_v3_has_the_parameters_of_resnet50_and_five_branches():
    model = full("deeplab_v3")
    kernels = [(7, 3, 64)]
    channels = 64
    for filters, units in ((64, 3), (128, 4), (256, 6), (512, 3)):
        kernels.append((1, channels, 4 * filters))
        for _ in range(units):
            kernels += [(1, channels, filters), (3, filters, filters), (1, filters, 4 * filters)]
            channels = 4 * filters
    kernels += [*2 * [(1, 2048, 256)], *3 * [(3, 2048, 256)], (1, 5 * 256, 256)]
    assert sorted(shapes(model).values()) == sorted([*kernels, (1, 256, 11)])
    assert trainable(model) == parameters([*kernels, (1, 256, 11)], normalised=kernels) == 39_074_059


# How they are wired.


def test_deconvnet_unpools_with_the_indices_of_its_own_poolings(net):
    model = net("deconvnet")
    for stage, count in enumerate((2, 2, 3, 3, 3), start=1):
        last = f"conv{stage}_{count}_relu"
        below = "fc6-deconv_crop" if stage == 5 else f"deconv{stage + 1}_{3 if stage > 1 else 2}_relu"
        assert sources(model, f"pool{stage}") == [last]
        assert sources(model, f"unpool{stage}") == [below, (f"pool{stage}", 1), last]
        assert sources(model, f"deconv{stage}_1") == [f"unpool{stage}"]
    assert sources(model, "seg-score") == ["deconv1_2_relu"]
    assert sources(model, "fc6-deconv_crop") == ["fc6-deconv_relu", "pool5"]


@pytest.mark.parametrize(
    ("size", "pool5", "fc7"),
    [
        ((224, 224), (7, 7), (1, 1)),
        ((360, 480), (12, 15), (6, 9)),
        ((193, 300), (7, 10), (1, 4)),
        ((45, 61), (2, 2), (1, 1)),
    ],
)
def test_fc6_of_deconvnet_covers_7_by_7_elements_of_pool5(size, pool5, fc7):
    model = build("deconvnet", 2, (*size, 3), width=1 / 128)
    assert model.get_layer("pool5").output[0].shape[1:3] == pool5
    assert sizes(model, "fc6", "fc7", "fc6-deconv_crop") == [fc7, fc7, pool5]
    assert model.output_shape == (None, *size, 2)


def test_unet_concatenates_the_maps_before_each_pooling_with_what_comes_from_below(net):
    model = net("unet")
    ends = {0: "conv_d0b-c_relu", 1: "conv_d1b-c_relu", 2: "conv_d2b-c_relu", 3: "dropout_d3c"}
    for level, end in ends.items():
        below = "d4c" if level == 3 else f"u{level + 1}d"
        assert sources(model, f"pool_d{level}c-{level + 1}a") == [end]
        assert sources(model, f"crop_u{level}a") == [f"upconv_{below}_u{level}a", end]
        assert sources(model, f"concat_d{level}cc_u{level}a-b") == [end, f"crop_u{level}a"]
        assert sources(model, f"conv_u{level}b-c") == [f"concat_d{level}cc_u{level}a-b"]
    assert sources(model, "upconv_d4c_u3a") == ["dropout_d4c"]
    assert sources(model, "upconv_u3d_u2a") == ["conv_u3c-d_relu"]
    assert sizes(model, *(f"concat_d{level}cc_u{level}a-b" for level in range(4))) == [
        (45, 61), (23, 31), (12, 16), (6, 8)
    ]  # fmt: skip


def test_deeplab_largefov_is_wired_as_released(net):
    model = net("deeplab_largefov")
    rates = {name: model.get_layer(name).dilation_rate for name in shapes(model)}
    assert {name: rate[0] for name, rate in rates.items() if rate != (1, 1)} == {
        "conv5_1": 2, "conv5_2": 2, "conv5_3": 2, "fc6": 12
    }  # fmt: skip
    poolings = [layer for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
    assert [(p.name, p.pool_size, p.strides) for p in poolings] == [
        (f"pool{stage}", (3, 3), (step, step)) for stage, step in enumerate((2, 2, 2, 1, 1), start=1)
    ]
    assert sources(model, "pool5a") == ["pool5"]
    assert sources(model, "fc6") == ["pool5a"]
    assert sources(model, "fc8_interp") == ["fc8", "imagenet_normalization"]
    assert sizes(model, "pool1", "pool2", "pool3", "pool4", "pool5", "fc8", "fc8_interp") == [
        (23, 31), (12, 16), (6, 8), (6, 8), (6, 8), (6, 8), (45, 61)
    ]  # fmt: skip


def test_scales_of_deeplab_largefov_come_from_the_image_and_four_poolings(net):
    model = net("deeplab_largefov", multi_scale=True)
    for source in ("data", "pool1", "pool2", "pool3", "pool4"):
        origin = "imagenet_normalization" if source == "data" else source
        assert sources(model, f"{source}_conv") == [origin]
        assert sources(model, f"{source}_fc") == [f"drop_{source}_conv"]
        assert sources(model, f"{source}_ms") == [f"drop_{source}_fc"]
        assert sources(model, f"{source}_interp") == [f"{source}_ms", "imagenet_normalization"]
    interpolated = [f"{source}_interp" for source in ("data", "pool1", "pool2", "pool3", "pool4", "fc8")]
    assert sources(model, "fc_fusion") == interpolated
    assert sources(model, "prob") == ["fc_fusion"]


def test_deeplab_v2_adds_the_scores_of_four_rates(net):
    model = net("deeplab_v2")
    for i, rate in enumerate((6, 12, 18, 24), start=1):
        assert model.get_layer(f"fc6_{i}").dilation_rate == (rate, rate)
        assert sources(model, f"fc6_{i}") == ["pool5"]
        assert sources(model, f"fc7_{i}") == [f"drop6_{i}"]
        assert sources(model, f"fc8_{i}") == [f"drop7_{i}"]
    assert sources(model, "fc8") == [f"fc8_{i}" for i in (1, 2, 3, 4)]
    assert sources(model, "fc8_interp") == ["fc8", "imagenet_normalization"]


def test_deeplab_v3_pools_features_and_the_whole_image(net):
    model = net("deeplab_v3")
    end = "conv5_block3_out"
    assert [model.get_layer(f"conv5_block{i}_2").dilation_rate[0] for i in (1, 2, 3)] == [2, 4, 8]
    assert [model.get_layer(f"aspp{i}").dilation_rate[0] for i in range(4)] == [1, 6, 12, 18]
    assert all(sources(model, name) == [end] for name in ("global_pool", "aspp0", "aspp1", "aspp2", "aspp3"))
    assert sources(model, "image_pooling") == ["global_pool"]
    assert sources(model, "concat") == ["image_pooling_broadcast", *(f"aspp{i}_relu" for i in range(4))]
    assert sources(model, "concat_projection") == ["concat"]
    assert sources(model, "semantic_interp") == ["semantic", "imagenet_normalization"]
    assert sizes(model, "conv1", "pool1", "conv3_block4_out", "conv4_block6_out", end) == [
        (23, 31), (12, 16), (6, 8), (3, 4), (3, 4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("network", "options", "expected"),
    [
        ("deconvnet", {}, {}),
        ("deconvnet", {"dropout": 0.3}, {"drop6": ("fc6_relu", 0.3), "drop7": ("fc7_relu", 0.3)}),
        ("unet", {}, {f"dropout_d{level}c": (f"conv_d{level}b-c_relu", 0.5) for level in (3, 4)}),
        ("deeplab_largefov", {}, {"drop6": ("fc6_relu", 0.5), "drop7": ("fc7_relu", 0.5)}),
        ("deeplab_v2", {}, {f"drop{n}_{i}": (f"fc{n}_{i}_relu", 0.5) for n in (6, 7) for i in (1, 2, 3, 4)}),
        ("deeplab_v3", {}, {"concat_projection_dropout": ("concat_projection_relu", 0.1)}),
    ],
)  # fmt: skip
def test_dropout_lies_where_the_original_has_it(net, network, options, expected):
    assert dropouts(net(network, **options)) == expected


@pytest.mark.parametrize("network", RIVALS)
def test_without_a_rate_there_is_no_dropout(network):
    assert dropouts(build(network, 4, (32, 32, 3), width=1 / 128, dropout=0.0)) == {}


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("deeplab_v2", {"rates": (6,)}, "rates must be two or more positive ints"),
        ("deeplab_v2", {"rates": (6, 0)}, "rates must be two or more positive ints"),
        ("deeplab_v3", {"rates": ()}, "rates must be positive ints"),
        (
            "deeplab_v3",
            {"weights": "vgg16.npz"},
            "None or 'imagenet' or the path of a .keras file .*; not 'vgg16.npz'",
        ),
        ("deeplab_v3", {"weights": "imagenet", "width": 0.5}, "width"),
        ("deeplab_v3", {"weights": "imagenet", "preprocessing": None}, "preprocessing"),
    ],
)
def test_bad_arguments_are_refused_by_name(network, options, message):
    with pytest.raises(ValueError, match=message):
        build(network, 4, (32, 32, 3), **options)


# What a unit sees.


@pytest.mark.parametrize(
    ("network", "layer", "stride", "field"), [("deeplab_largefov", "fc7", 8, 435), ("deeplab_v2", "fc7_1", 8, 323)]
)
def test_a_unit_of_deeplab_sees_a_square_centred_on_the_pixel_where_interpolation_puts_it(
    network, layer, stride, field
):
    # All weights positive: a bright pixel on black brightens exactly the units that see it. Each 3x3 window, also of a
    # pooling, adds 2 pixels times the stride so far, times its rate.
    threes = [(1, 1)] * 2 + [(1, 1)] + [(2, 1)] * 2 + [(2, 1)] + [(4, 1)] * 3 + [(4, 1)] + [(8, 1)] * 4 + [(8, 2)] * 3
    threes += [(8, 1)] + {"deeplab_largefov": [(8, 1), (8, 12)], "deeplab_v2": [(8, 6)]}[network]
    assert field == 1 + sum(2 * step * rate for step, rate in threes)

    size, unit = 454, 28
    model = build(network, 2, (size, size, 3), width=1 / 4096, preprocessing=None)
    for each in model.layers:
        if isinstance(each, keras.layers.Conv2D):
            each.set_weights([np.full(each.kernel.shape, 1.0), np.zeros(each.bias.shape)])
    until = keras.Model(model.input, model.get_layer(f"{layer}_relu").output)
    centre, reach = stride * unit, field // 2
    places = [(centre - reach, centre), (centre + reach, centre), (centre, centre - reach), (centre, centre + reach)]
    beyond = [(r + np.sign(r - centre), c + np.sign(c - centre)) for r, c in places]
    images = np.zeros((8, size, size, 3), "float32")
    for image, (row, column) in zip(images, [*places, *beyond], strict=True):
        image[row, column] = 1
    bright = until.predict(images, batch_size=4, verbose=0)[:, unit, unit, 0] > 0
    assert bright.tolist() == [True] * 4 + [False] * 4


# Weights to start from.


@pytest.mark.parametrize("network", ["deconvnet", "deeplab_largefov", "deeplab_v2"])
def test_vgg16_weights_are_held_by_the_encoder(network, vgg16_file, monkeypatch):
    arrays = np.load(vgg16_file)
    # Only the encoder must be as wide as VGG16.
    monkeypatch.setattr("keras_segnet.models.blocks.scaled", lambda n, _: n if n <= 512 else 8)
    model = build(network, 4, (32, 32, 3), weights=vgg16_file)
    for name in ENCODER:
        theirs = f"block{name[4]}_conv{name[6]}"
        for found, part in zip(model.get_layer(name).get_weights(), ("kernel", "bias"), strict=True):
            np.testing.assert_array_equal(found, arrays[f"{theirs}/{part}"].astype("float32"), err_msg=name)


def test_deeplab_v3_computes_what_the_resnet50_of_keras_computes(monkeypatch):
    trained = settle(keras.applications.ResNet50(include_top=False, weights=None, input_shape=(45, 61, 3)))
    monkeypatch.setattr(keras.applications, "ResNet50", lambda **options: trained)
    model = build("deeplab_v3", 2, (45, 61, 3))
    load_resnet50(model)
    rgb = np.random.default_rng(0).integers(0, 256, (1, 45, 61, 3)).astype("float32")
    caffes = rgb[..., ::-1] - np.array([103.939, 116.779, 123.68], "float32")
    end = "conv4_block6_out"
    expected = keras.Model(trained.input, trained.get_layer(end).output).predict(caffes, verbose=0)
    found = keras.Model(model.input, model.get_layer(end).output).predict(rgb, verbose=0)
    # At the border, padding means colours that differ by less than 0.01 of 255.
    assert np.abs(found - expected).max() < 3e-3 * np.abs(expected).max()
    first, last = trained.get_layer("conv5_block3_3_conv"), model.get_layer("conv5_block3_3")
    np.testing.assert_array_equal(last.kernel, first.kernel)
