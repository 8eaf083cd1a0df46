"""A network with batch normalisation folded into its convolutions gives what it gave before, in inference."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_segnet.layers import BatchNormalization
from keras_segnet.models import build
from keras_segnet.models.folding import fold_batch_normalization


def randomised(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with weights far from initial ones: a fold that forgets one of them shows."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.dtype in ("float32", "bfloat16"):
            positive = variable.path.endswith(("moving_variance", "gamma"))
            values = random.uniform(0.5, 2.0, variable.shape) if positive else random.normal(0, 0.3, variable.shape)
            variable.assign(values.astype("float32"))
    return model


def assert_equal_outputs(model: keras.Model, folded: keras.Model, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).uniform(0, 255, shape).astype("float32")
    expected, found = (np.asarray(each.predict_on_batch(x)) for each in (model, folded))
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def normalizations(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


CONVOLUTIONS = {
    "plain": lambda **options: layers.Conv2D(5, (3, 2), **options),
    "strided": lambda **options: layers.Conv2D(5, 3, 2, padding="same", **options),
    "grouped": lambda **options: layers.Conv2D(6, 3, groups=3, **options),
    "depthwise": lambda **options: layers.DepthwiseConv2D(3, depth_multiplier=2, **options),
    "transposed": lambda **options: layers.Conv2DTranspose(4, 3, 2, **options),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize(("use_bias", "center", "scale"), [(True, True, True), (False, False, False)])
def test_each_kind_of_convolution(kind: str, use_bias: bool, center: bool, scale: bool) -> None:
    x = keras.Input((7, 9, 3))
    y = CONVOLUTIONS[kind](use_bias=use_bias)(x)
    y = layers.ReLU()(BatchNormalization(center=center, scale=scale, epsilon=0.1)(y))
    model = randomised(keras.Model(x, y))
    folded = fold_batch_normalization(model)
    assert normalizations(folded) == []
    assert_equal_outputs(model, folded, (2, 7, 9, 3))


def test_what_is_not_alone_behind_a_linear_convolution_stays() -> None:
    x = keras.Input((6, 6, 3))
    y = layers.BatchNormalization(name="of_the_image")(x)
    y = layers.Conv2D(4, 3, activation="relu", padding="same")(y)
    y = layers.BatchNormalization(name="behind_a_relu")(y)
    used_twice = layers.Conv2D(4, 3, padding="same")(y)
    y = layers.Add()([layers.BatchNormalization(name="beside_a_sum")(used_twice), used_twice])
    shared = layers.Conv2D(4, 3, padding="same")
    y = layers.Add()([layers.BatchNormalization(name="of_a_shared_one")(shared(y)), shared(layers.ReLU()(y))])
    both = layers.BatchNormalization(name="shared")
    y = layers.Add()([both(layers.Conv2D(4, 1)(y)), both(layers.Conv2D(4, 1)(y))])
    y = layers.BatchNormalization(axis=1, name="of_rows")(layers.Conv2D(4, 1)(y))
    y = layers.BatchNormalization(name="folds")(layers.Conv2D(4, 1)(y))
    y = layers.BatchNormalization(name="behind_another")(y)
    end = layers.Conv2D(4, 1)(y)
    model = randomised(keras.Model(x, [end, layers.BatchNormalization(name="of_an_output")(end)]))
    folded = fold_batch_normalization(model)
    assert set(normalizations(model)) - set(normalizations(folded)) == {"folds"}
    values = np.random.default_rng(1).normal(size=(2, 6, 6, 3)).astype("float32")
    for ours, theirs in zip(folded.predict_on_batch(values), model.predict_on_batch(values), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())


def test_a_convolution_in_bfloat16_keeps_its_own() -> None:
    x = keras.Input((6, 6, 3))
    y = layers.Conv2D(4, 3, dtype="mixed_bfloat16")(x)
    model = keras.Model(x, BatchNormalization(dtype="mixed_bfloat16")(y))
    assert normalizations(fold_batch_normalization(model)) == normalizations(model)


def test_a_sequential_model_folds_and_one_without_a_graph_stays_as_it_is() -> None:
    model = randomised(keras.Sequential([keras.Input((5, 5, 3)), layers.Conv2D(2, 3), layers.BatchNormalization()]))
    assert_equal_outputs(model, fold_batch_normalization(model), (1, 5, 5, 3))

    class Own(keras.Model):
        def call(self, x: object) -> object:
            return x

    own = Own()
    assert fold_batch_normalization(own) is own


@pytest.mark.parametrize("name", ["segnet_edge", "deconvnet"])
def test_networks(name: str) -> None:
    model = randomised(build(name, 4, (32, 64, 3), width=0.0625, classifier_activation=None))
    before = [np.array(weight) for weight in model.get_weights()]
    folded = fold_batch_normalization(model)
    assert normalizations(folded) == []
    assert_equal_outputs(model, folded, (1, 32, 64, 3))
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
