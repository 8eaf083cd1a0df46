import keras
import numpy as np
import pytest

from keras_segnet.errors import InputError
from keras_segnet.optimizers import CaffeSGD, ConvolutionMuon, for_training

SHAPES = [(3, 3, 4, 8), (3, 3, 16, 5), (1, 1, 3, 11), (7, 7, 2, 6), (1, 1, 1, 1)]


def variable(shape, seed=0, name="kernel"):
    return keras.Variable(np.random.default_rng(seed).normal(size=shape).astype("float32"), name=name)


def orthogonalised(matrix, steps=5, a=3.4445, b=-4.7750, c=2.0315):
    """The quintic iteration on singular values, which is what it comes to on matrices."""
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    values = values / np.linalg.norm(values)
    for _ in range(steps):
        values = a * values + b * values**3 + c * values**5
    return left * values @ right


@pytest.mark.parametrize("shape", SHAPES)
def test_a_kernel_moves_along_its_orthogonalised_momentum(shape):
    kernel = variable(shape)
    before = kernel.numpy().astype("float64")
    optimizer = ConvolutionMuon(0.01, weight_decay=None, adam_weight_decay=None, momentum=0.9)
    gradients = [np.random.default_rng(seed).normal(size=shape).astype("float32") for seed in (1, 2)]
    momentum, expected = np.zeros(shape), before.copy()
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [kernel])
        momentum = 0.9 * momentum + gradient
        nesterov = (gradient + 0.9 * momentum).reshape(-1, shape[-1])
        scale = 0.01 * 0.2 * np.sqrt(max(nesterov.shape))
        expected -= scale * orthogonalised(nesterov).reshape(shape)
    np.testing.assert_allclose(kernel.numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("shape", [(3, 3, 16, 32), (1, 1, 8, 40), (1, 1, 24, 24)])
@pytest.mark.parametrize("decades", [2, 5, 9])
def test_weak_directions_are_strengthened_as_strong_ones_are(shape, decades):
    random = np.random.default_rng(0)
    left, _, right = np.linalg.svd(random.normal(size=(np.prod(shape[:3]), shape[-1])), full_matrices=False)
    matrix = left * 10.0 ** -np.linspace(0, decades, len(right)) @ right
    x = keras.ops.convert_to_tensor(matrix.reshape(shape).astype("float32"))
    found = keras.ops.convert_to_numpy(ConvolutionMuon().zeropower_via_newtonschulz5(x, 5)).reshape(matrix.shape)
    assert np.linalg.norm(found - orthogonalised(matrix), 2) < 2e-3


@pytest.mark.parametrize("shape", [(3, 3, 8, 8), (3, 3, 16, 5)])
def test_all_directions_of_a_step_are_about_equally_long(shape):
    kernel = variable(shape)
    before = kernel.numpy()
    optimizer = ConvolutionMuon(1.0, weight_decay=None, adam_weight_decay=None, rms_rate=None)
    optimizer.apply(
        [keras.ops.convert_to_tensor(np.random.default_rng(1).normal(size=shape).astype("float32"))], [kernel]
    )
    lengths = np.linalg.svd((kernel.numpy() - before).reshape(-1, shape[-1]), compute_uv=False)
    assert lengths.min() > 0.5
    assert lengths.max() < 1.5


@pytest.mark.parametrize(("shape", "name"), [((5,), "bias"), ((4, 3), "kernel"), ((3, 3, 4, 11), "classifier")])
def test_the_rest_moves_as_adam_would_have_it(shape, name):
    ours, theirs = variable(shape, name=name), variable(shape, name=name)
    muon = ConvolutionMuon(0.02, adam_lr_ratio=0.5, adam_weight_decay=None, exclude_layers=["classifier"])
    adamw = keras.optimizers.Adam(0.01)
    for seed in range(3):
        gradient = np.random.default_rng(seed).normal(size=shape).astype("float32")
        muon.apply([keras.ops.convert_to_tensor(gradient)], [ours])
        adamw.apply([keras.ops.convert_to_tensor(gradient)], [theirs])
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "rate", "decay"), [("kernel", 1, 5e-2), ("gamma", 1, 5e-2), ("beta", 1, 0), ("bias", 2, 0)]
)
def test_sgd_moves_as_caffe_has_it(name, rate, decay):
    moved = variable((3, 4), name=name)
    optimizer = CaffeSGD(0.1, momentum=0.9, decay_in_gradient=5e-2)
    expected, momentum = moved.numpy().astype("float64"), 0.0
    for seed in range(4):
        gradient = np.random.default_rng(seed).normal(size=(3, 4)).astype("float32")
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [moved])
        momentum = 0.9 * momentum + rate * 0.1 * (gradient + decay * expected)
        expected = expected - momentum
    np.testing.assert_allclose(moved.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [ConvolutionMuon, CaffeSGD])
def test_a_saved_model_goes_on_with_the_same_optimizer(kind, tmp_path):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 3)).astype("float32")
    y = x.sum(axis=-1, keepdims=True)
    model = keras.Sequential(
        [keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3, padding="same"), keras.layers.Conv2D(1, 1)]
    )
    options = {"exclude_layers": ["conv2d_1"]} if kind is ConvolutionMuon else {"decay_in_gradient": 0.1}
    model.compile(kind(0.01, use_ema=True, ema_momentum=0.9, **options), "mse")
    model.fit(x, y, epochs=2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, kind)
    for one in (model, again):
        one.fit(x, y, epochs=2, verbose=0, shuffle=False)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# The optimiser of a training.


def small_model():
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((None, None, 2)), keras.layers.Conv2D(4, 3), keras.layers.Conv2D(3, 1)])


def train_by_hand(optimizer, model, gradients):
    """Applies gradients and returns the rate of each step, the weights, and the averages where there are any."""
    rates = []
    for gradient in gradients:
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([keras.ops.convert_to_tensor(each) for each in gradient], model.trainable_variables)
    if optimizer.use_ema:
        optimizer.finalize_variable_values(model.trainable_variables)
    return rates, [variable.numpy() for variable in model.trainable_variables]


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("ema_momentum", [None, 0.75])
def test_accumulated_batches_are_one_larger_batch(optimizer, ema_momentum):
    accumulate, updates = 3, 8
    settings = {"optimizer": optimizer, "ema_momentum": ema_momentum}
    random = np.random.default_rng(4)
    shapes = [variable.shape for variable in small_model().trainable_variables]
    gradients = [[random.normal(size=s).astype("float32") for s in shapes] for _ in range(accumulate * updates)]
    means = [[np.mean(of_one, axis=0) for of_one in zip(*gradients[i : i + 3], strict=True)] for i in range(0, 24, 3)]
    one, many = small_model(), small_model()
    large = for_training(one, updates, warmup_steps=2, **settings)
    small = for_training(many, accumulate * updates, warmup_steps=2 * accumulate, accumulate=accumulate, **settings)
    expected_rates, expected = train_by_hand(large, one, means)
    rates, found = train_by_hand(small, many, gradients)
    np.testing.assert_allclose(rates, np.repeat(expected_rates, accumulate), rtol=1e-6)
    for a, b in zip(found, expected, strict=True):
        # Keras's averages follow an update over the batches behind it, not at once.
        np.testing.assert_allclose(a, b, atol=1e-5 if ema_momentum is None else 5e-3)


def test_an_accumulating_optimiser_is_saved_with_its_schedule():
    optimizer = for_training(small_model(), 24, accumulate=3)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for step in (0, 5, 6, 23):
        assert float(again._learning_rate(step)) == float(optimizer._learning_rate(step))
    assert again.gradient_accumulation_steps == 3


@pytest.mark.parametrize(
    ("name", "optimizer", "rate"),
    [("segnet", "muon", 4e-3), ("segnet", "adamw", 2e-3), ("segnet", "sgd", 1e-3), ("segnet_basic", "sgd", 0.1)],
)
def test_the_rate_of_a_training_rises_and_falls_along_a_cosine(name, optimizer, rate):
    model = small_model()
    model.name = name
    found = for_training(model, 100, warmup_steps=20, optimizer=optimizer)
    at = [float(found._learning_rate(step)) for step in (0, 10, 20, 60, 100)]
    np.testing.assert_allclose(at, [0, rate / 2, rate, rate / 2, 0], atol=1e-9)
    constant = for_training(model, 100, optimizer=optimizer, schedule="constant")
    assert float(constant.learning_rate) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("settings", "message"), [({"optimizer": "adam"}, "did you mean adamw?"), ({"schedule": "cosin"}, "mean cosine?")]
)
def test_an_unknown_optimiser_or_schedule_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        for_training(small_model(), 10, **settings)
