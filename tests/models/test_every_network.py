"""What holds for every network: being registered is all that it takes to inherit this."""

import inspect
import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from batch_statistics import settle
from keras import layers
from small_networks import NETWORKS, small

from keras_segnet import models
from keras_segnet.data import street_scenes
from keras_segnet.errors import InputError
from keras_segnet.exporting import check_gpu, to_onnx, to_tflite
from keras_segnet.exporting.heads import without_softmax
from keras_segnet.exporting.parity import street_images
from keras_segnet.inference.segmenters import TFLiteSegmenter
from keras_segnet.layers import LocalResponseNormalization, MaxPoolingWithArgmax2D
from keras_segnet.losses import WeightedCrossentropy
from keras_segnet.models import build, split
from keras_segnet.models.graph import summarize_network

ODD, EVEN = (29, 37), (24, 32)
EXPORTED_ON = 4
"""Images that precisions are calibrated and compared on."""

MOST_STEPS = 200
"""Within which a network learns two images by heart; most take 60. Two small images are few values for batch
normalisation, and in DeconvNet's fc6 and DeepLab v3's image-level feature they are one value each."""


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request):
    return NETWORKS[request.param]


@pytest.fixture(scope="module")
def model(network):
    """A small one, of odd height and width."""
    keras.utils.set_random_seed(1)
    return settle(small(network.name, input_shape=(*ODD, 3)))


@pytest.fixture(scope="module")
def summary(network):
    return summarize_network(network)


def random_image(height, width, batch=1):
    return np.random.default_rng(height).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


def run(model, image):
    return model(image.astype("float32")).numpy()


@pytest.fixture
def channels_first():
    """Keras's default layout is another one."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format(before)


def streets():
    """Two drawn streets as arrays."""
    examples = list(street_scenes(count=2, size=EVEN))
    return np.stack([e.image for e in examples]).astype("float32"), np.stack([e.label for e in examples])


def descent(model):
    """A step of gradient descent with momentum, as a function of images and labels.

    Its gradient is clipped, so that one rate suits networks with batch normalisation and without. With an optimiser of
    Keras, tracing would take twice as long.
    """
    loss_of = WeightedCrossentropy(model.output_shape[-1], ignore_class=255)
    weights = [variable.value for variable in model.trainable_variables]
    momenta = [tf.Variable(tf.zeros_like(weight)) for weight in weights]

    @tf.function(autograph=False)
    def step(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, weights), 1.0)
        for weight, momentum, gradient in zip(weights, momenta, gradients, strict=True):
            weight.assign_sub(0.1 * momentum.assign(0.9 * momentum + gradient))
        return loss

    return step


# What it is.


def test_it_says_what_it_is(network):
    assert NETWORKS[network.name] is network
    assert network.summary and network.source
    parameters = inspect.signature(network.build).parameters
    assert list(parameters)[:2] == ["num_classes", "input_shape"]
    assert (parameters["num_classes"].default, parameters["input_shape"].default) == (11, (360, 480, 3))
    options = set(list(parameters)[2:])
    assert options >= {"width", "weights", "classifier_activation", "preprocessing", "name"}
    assert all(parameters[option].kind is inspect.Parameter.KEYWORD_ONLY for option in options)
    assert parameters["name"].default == network.name
    assert getattr(models, f"build_{network.name}") is network.build
    assert network.build.__name__ == f"build_{network.name}" and f"build_{network.name}" in models.__all__


def test_its_docstring_describes_every_argument_once(network):
    lines = inspect.getdoc(network.build).splitlines()
    assert len(lines[0]) > 20 and lines.count("Args:") == lines.count("Returns:") == lines.count("Raises:") == 1
    arguments = "\n".join(lines[lines.index("Args:") + 1 : lines.index("Returns:")])
    described = re.findall(r"^    (\w+): ", arguments, re.MULTILINE)
    assert sorted(described) == sorted(inspect.signature(network.build).parameters)


def test_unknown_weights_are_refused_with_all_that_it_has(network):
    with pytest.raises(InputError, match=f"`weights` of {network.name} must be None or .*; not 'imagnet'") as refused:
        network.build(weights="imagnet")
    assert ("'imagenet'" in str(refused.value)) == (network.encoder is not None)
    assert all(repr(data) in str(refused.value) for data in network.trained_on)


def test_it_starts_from_a_file_of_its_own(network, model, tmp_path):
    path = tmp_path / "trained.keras"
    model.save(path)
    started = small(network.name, input_shape=(*EVEN, 3), weights=path)
    for expected, found in zip(model.get_weights(), started.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_it_has_the_published_number_of_parameters(network, summary):
    """To 3 %: Table 1 rounds to 0.025 M, and leaves open what it counts and how some networks are wired."""
    if network.published_parameters is None:
        pytest.skip("its source gives none")
    assert summary.parameters / 1e6 == pytest.approx(network.published_parameters, rel=0.03)


# What it makes of an image.


def test_a_net_of_open_size_gives_the_size_of_its_image_and_what_one_built_for_it_gives(network, model):
    dynamic = small(network.name, input_shape=(None, None, 3))
    even = small(network.name, input_shape=(*EVEN, 3))
    assert dynamic.output_shape == (None, None, None, 4)
    for fixed, size in ((model, ODD), (even, EVEN)):
        dynamic.set_weights(model.get_weights())
        fixed.set_weights(model.get_weights())
        image = random_image(*size, batch=2)
        assert fixed.output_shape == (None, *size, 4)
        result = run(dynamic, image)
        assert result.shape == (2, *size, 4)
        np.testing.assert_allclose(result, run(fixed, image), atol=1e-4)
    assert run(dynamic, random_image(1, 1)).shape == (1, 1, 1, 4)
    assert run(dynamic, random_image(45, 3)).shape == (1, 45, 3, 4)


def test_probabilities_are_float32_and_sum_to_one_and_come_of_the_logits(network, model):
    image = random_image(*ODD)
    probabilities = model.predict(image, verbose=0)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, run(model, image), atol=1e-4)
    logits = small(network.name, input_shape=(*ODD, 3), classifier_activation=None)
    logits.set_weights(model.get_weights())
    exponents = np.exp(run(logits, image).astype("float64"))
    np.testing.assert_allclose(probabilities, exponents / exponents.sum(axis=-1, keepdims=True), atol=1e-4)


def test_it_is_channels_last_whatever_keras_takes_for_granted(network, model, channels_first):
    other = small(network.name, input_shape=(*ODD, 3))
    other.set_weights(model.get_weights())
    image = random_image(*ODD)
    np.testing.assert_array_equal(run(other, image), run(model, image))


def test_colours_are_normalised_first_or_not_at_all(network):
    convolves = (layers.Conv2D, layers.ZeroPadding2D)
    for preprocessing, first in (("imagenet", layers.Normalization), ("lrn", LocalResponseNormalization)):
        image, normalized, convolution = small(network.name, preprocessing=preprocessing).layers[:3]
        assert isinstance(normalized, first) and normalized.input is image.output
        assert isinstance(convolution, convolves) and convolution.input is normalized.output
    image, convolution = small(network.name, preprocessing=None).layers[:2]
    assert isinstance(convolution, convolves) and convolution.input is image.output


# What can be kept of it.


def test_its_config_makes_it_again(model):
    config = model.get_config()
    again = keras.Model.from_config(json.loads(json.dumps(config)))
    assert json.dumps(again.get_config()) == json.dumps(config)
    again.set_weights(model.get_weights())
    image = random_image(*ODD)
    np.testing.assert_array_equal(run(again, image), run(model, image))


def test_its_file_gives_equal_outputs(model, tmp_path):
    model.save(tmp_path / "model.keras")
    image = random_image(*ODD, batch=2)
    np.testing.assert_array_equal(run(keras.models.load_model(tmp_path / "model.keras"), image), run(model, image))


@pytest.fixture(scope="module")
def logits(model):
    """What comes before softmax, where no rounding hides behind a probability of 1, on the images of the exports."""
    return without_softmax(model).predict(random_image(*ODD, batch=EXPORTED_ON).astype("float32"), verbose=0)


def explained(expected, found):
    """Share of what varies in maps of logits that others have too: 1 is the same, 0 no better than a constant each."""
    within = ((expected - expected.mean(axis=(0, 1, 2))) ** 2).sum()
    return 1 - ((expected - found) ** 2).sum() / within


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """Its .tflite file in float32, and the gate's report."""
    path = tmp_path_factory.mktemp("exported") / "model.tflite"
    return path, to_tflite(model, path, images=random_image(*ODD, batch=2))


def test_its_tflite_file_holds_builtin_ops_and_passes_the_gate(exported):
    _, report = exported
    assert report.label_agreement >= 0.999 and report.largest_difference < 1e-3
    assert not any(name.startswith("Flex") or name == "CUSTOM" for name in report.ops)


def test_the_gpu_takes_its_file_whole_and_computes_the_same(exported, software_gpu):
    path, _ = exported
    report = check_gpu(path, np.stack(street_images(ODD, 2)), software_gpu)
    assert report.fully_accelerated
    assert report.label_agreement >= 0.999 and report.largest_difference < 1e-3


@pytest.mark.parametrize(("precision", "least"), [("float16", 0.98), ("int8", 0.85)])
def test_its_smaller_tflite_files_give_its_logits(model, logits, precision, least, tmp_path):
    """The gate accepts them, though rounding decides many labels of random weights."""
    images, path = random_image(*ODD, batch=EXPORTED_ON), tmp_path / "model.tflite"
    report = to_tflite(model, path, precision=precision, head="logits", representative_data=images, images=images[:1])
    file = TFLiteSegmenter(path, num_threads=1)
    assert explained(logits, file.infer(file.to_input(images))) > least
    assert not any(name.startswith("Flex") or name == "CUSTOM" for name in report.ops)


def test_its_onnx_file_passes_the_gate(model, tmp_path):
    report = to_onnx(model, tmp_path / "model.onnx", images=random_image(*ODD, batch=2))
    assert report.label_agreement >= 0.999 and report.largest_difference < 1e-3


# How it learns.


def test_the_gradient_reaches_every_trainable_weight(model):
    image, label = random_image(*ODD, batch=2), np.random.default_rng(0).integers(0, 4, (2, *ODD))
    with tf.GradientTape() as tape:
        loss = WeightedCrossentropy(4)(label, model(image.astype("float32")))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all() and np.any(gradient), variable.path


def test_it_learns_two_streets_by_heart(network):
    keras.utils.set_random_seed(2)
    images, labels = streets()
    shares = np.bincount(labels[labels != 255]) / (labels != 255).sum()
    shares = shares[shares > 0]
    blind = -(shares * np.log(shares)).sum()  # The loss of the best answer without a look at the image.
    model = small(network.name, 11, (*EVEN, 3))
    if any(isinstance(layer, layers.Dropout) for layer in model.layers):
        # It is there to prevent learning by heart, so let there be little of it.
        model = small(network.name, 11, (*EVEN, 3), dropout=0.1)
    step = descent(model)
    assert any(float(step(images, labels)) < blind / 2 for _ in range(MOST_STEPS))


def test_it_trains_in_mixed_precision(network, mixed_precision):
    keras.utils.set_random_seed(3)
    images, labels = streets()
    model = small(network.name, 11, (*EVEN, 3))
    # Eagerly, because compiling takes longer than a step.
    model.compile(keras.optimizers.SGD(0.01), WeightedCrossentropy(11, ignore_class=255), run_eagerly=True)
    assert model.get_layer("prob").compute_dtype == "float32"
    assert {layer.compute_dtype for layer in model.layers} == {"float16", "float32"}
    assert np.isfinite(model.train_on_batch(images, labels))
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    probabilities = run(model, images)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-3)


# Its halves.


def test_its_encoder_and_its_decoder_are_two_models_that_give_what_it_gives(network, model):
    """Of fixed and of open size, and with indices whichever half is compiled; tests/backends/ has other backends."""
    pooling = last_pooling(model)
    has_indices = isinstance(model.get_layer(pooling), MaxPoolingWithArgmax2D)
    if not has_indices:
        with pytest.raises(InputError, match=f"{network.name} has no pooling with indices; name the layer"):
            split(model)
    open_size = small(network.name, input_shape=(None, None, 3))
    open_size.set_weights(model.get_weights())
    image = random_image(*ODD, batch=2).astype("float32")
    expected = model(image)
    for whole, options in ((model, {"jit_compile": True}), (open_size, {})):
        encoder, decoder = split(whole, pooling)
        assert [encoder.name, decoder.name] == [f"{network.name}_encoder", f"{network.name}_decoder"]
        weighty = [{layer.name for layer in half.layers if layer.weights} for half in (encoder, decoder)]
        assert all(weighty) and not set.intersection(*weighty)
        handed_over = encoder(image)
        assert_announced(handed_over, encoder, has_indices)
        np.testing.assert_allclose(decoder(handed_over), expected, atol=1e-6)
        if has_indices:
            in_graph = tf.function(encoder, **options)(image)
            assert_announced(in_graph, encoder, has_indices)
            # Compiled, sums have another order.
            np.testing.assert_allclose(decoder(in_graph), expected, atol=1e-4)
            np.testing.assert_allclose(tf.function(decoder, **options)(handed_over), expected, atol=1e-4)


def assert_announced(tensors, encoder, has_indices):
    """An encoder gives the dtypes that a decoder's inputs are made of; indices are places in the window."""
    announced = [tensor.dtype for tensor in encoder.outputs]
    assert [tensor.dtype.name for tensor in tensors] == announced and ("int8" in announced) == has_indices


def last_pooling(model):
    """That with indices, where there is one; it is where a network is split by default."""
    with_indices = [layer.name for layer in model.layers if isinstance(layer, MaxPoolingWithArgmax2D)]
    assert not with_indices or split(model)[0].layers[-1].name == with_indices[-1]
    return (with_indices or [layer.name for layer in model.layers if isinstance(layer, layers.MaxPooling2D)])[-1]


# What it refuses.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "num_classes must be an int from 2 to 255"),
        ({"num_classes": 2.5}, "num_classes must be an int from 2 to 255"),
        ({"num_classes": 256}, "num_classes must be an int from 2 to 255"),
        ({"input_shape": (32, 32, 1)}, "input_shape must be"),
        ({"input_shape": (32, 32)}, "input_shape must be"),
        ({"input_shape": (0, 32, 3)}, "input_shape must be"),
        ({"width": 0}, "`width` must be a positive number"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"dropout": -0.1}, "dropout must be"),
        ({"classifier_activation": "relu"}, "classifier_activation must be"),
        ({"preprocessing": "caffe"}, "`preprocessing` must be one of"),
        ({"weights": "imagenet", "width": 0.5}, r"need `width` 1\.0|must be None or "),
        ({"weights": "imagenet", "preprocessing": "lrn"}, "need `preprocessing` 'imagenet'|must be None or "),
    ],
)
def test_bad_arguments_are_refused_by_name(network, options, message):
    if not set(options) <= set(inspect.signature(network.build).parameters):
        pytest.skip("it has no such option")
    with pytest.raises(InputError, match=message):
        build(network.name, **options)


def test_a_net_that_is_not_in_the_registry_is_refused_with_those_that_are():
    with pytest.raises(InputError, match=r"`name` must be .*segnet, .*, not 'segnot'; did you mean segnet\?"):
        build("segnot")
