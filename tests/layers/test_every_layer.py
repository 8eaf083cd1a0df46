"""What holds for every layer of `layers.__all__`, on whichever backend Keras has. One inherits it by an example."""

import keras
import numpy as np
import pytest

from keras_segnet import layers

EXAMPLES = {
    "BatchNormalization": (lambda: layers.BatchNormalization(momentum=0.8), [(6, 8, 3)]),
    "BroadcastLike": (layers.BroadcastLike, [(1, 1, 3), (5, 7, 2)]),
    "CRFasRNN": (lambda: layers.CRFasRNN(2, 1, 1, smoothness_weight=0.5), [(5, 7, 4), (5, 7, 3)]),
    "CropLike": (layers.CropLike, [(6, 8, 3), (5, 7, 2)]),
    "InterpolateLike": (lambda: layers.InterpolateLike(2), [(3, 4, 3), (5, 7, 2)]),
    "LocalContrastNormalization": (lambda: layers.LocalContrastNormalization(3, 0.7, 0.1), [(6, 8, 3)]),
    "LocalResponseNormalization": (lambda: layers.LocalResponseNormalization(3, 1e-3, 0.5, 2.0), [(6, 8, 3)]),
    "MaxPoolingWithArgmax2D": (lambda: layers.MaxPoolingWithArgmax2D(3, 2, "valid"), [(6, 9, 3)]),
    "MaxUnpooling2D": (lambda: layers.MaxUnpooling2D((2, 3), None, "same"), [(3, 3, 3), "int8", (5, 7, 2)]),
    "Softmax": (layers.Softmax, [(6, 8, 3)]),
    "ZeroPaddingTo": (lambda: layers.ZeroPaddingTo(7), [(6, 8, 3)]),
}
"""By name: how it is made with settings that are not its defaults, and the shapes of its inputs without the batch. A
dtype stands for indices of the input before it."""

LAYERS = [
    name for name in layers.__all__ if isinstance(getattr(layers, name), type)
    and issubclass(getattr(layers, name), keras.layers.Layer)
]  # fmt: skip


@pytest.fixture(params=LAYERS)
def example(request):
    """A function that makes the layer, and arrays to call it with."""
    assert request.param in EXAMPLES, f"{request.param} has no example here."
    make, shapes = EXAMPLES[request.param]
    random = np.random.default_rng(0)
    arrays = []
    for shape in shapes:
        if isinstance(shape, str):
            arrays.append(random.integers(0, 6, arrays[-1].shape).astype(shape))
        else:
            arrays.append(random.uniform(0, 4, (2, *shape)).astype("float32"))
    return make, arrays


@pytest.fixture(params=["float32", "mixed_float16", "mixed_bfloat16"])
def policy(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def outputs_of(tensors):
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


def call(layer, arrays):
    return outputs_of(layer(*map(keras.ops.convert_to_tensor, arrays)))


def numbers(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


@pytest.mark.parametrize("known", [True, False], ids=["known sizes", "open sizes"])
def test_what_is_announced_comes_and_in_the_precision_that_was_asked_for(example, policy, known):
    make, arrays = example
    layer = make()
    symbols = [
        keras.KerasTensor(
            array.shape if known else (None, *(None if n > 1 else n for n in array.shape[1:3]), array.shape[3]),
            dtype=array.dtype.name,
        )
        for array in arrays
    ]
    announced, came = outputs_of(layer(*symbols)), call(layer, arrays)
    exact = call(type(layer).from_config({**layer.get_config(), "dtype": "float32"}), arrays)
    for symbol, tensor, wanted in zip(announced, came, exact, strict=True):
        assert symbol.dtype == keras.backend.standardize_dtype(tensor.dtype)
        assert len(symbol.shape) == len(tensor.shape)
        assert all(n in (None, m) for n, m in zip(symbol.shape, tensor.shape, strict=True))
        if "float" in symbol.dtype:
            assert symbol.dtype == layer.compute_dtype
            np.testing.assert_allclose(numbers(tensor), numbers(wanted), rtol=0.03, atol=0.03)


def test_its_config_makes_it_again(example):
    layer = example[0]()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()


def test_a_saved_model_gives_equal_outputs(example, tmp_path):
    make, arrays = example
    inputs = [keras.Input(array.shape[1:], dtype=array.dtype.name) for array in arrays]
    model = keras.Model(inputs, outputs_of(make()(*inputs)))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for old, new in zip(outputs_of(model(arrays)), outputs_of(again(arrays)), strict=True):
        np.testing.assert_array_equal(numbers(new), numbers(old))


def test_it_is_channels_last_whatever_keras_takes_for_granted(example):
    make, arrays = example
    expected = call(make(), arrays)
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        found = call(make(), arrays)
    finally:
        keras.config.set_image_data_format(before)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(numbers(one), numbers(other))
