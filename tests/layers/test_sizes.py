import keras
import numpy as np
import pytest
from oracles import interpolate

from keras_segnet.layers import BroadcastLike, InterpolateLike, ZeroPaddingTo


def random_map(height, width, channels=3):
    return np.random.default_rng(height).normal(size=(2, height, width, channels)).astype("float32")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("factor", "height", "width"),
    [(1, 3, 4), (2, 5, 6), (3, 10, 7), (8, 29, 37), (8, 32, 41), (16, 1, 16), (16, 17, 40)],
)
def test_interpolation_puts_element_i_at_factor_times_i(factor, height, width, known):
    x = random_map(-(-height // factor), -(-width // factor))
    image = np.zeros((2, height, width, 3), "float32")
    shapes = [each.shape[1:] if known else (None, None, 3) for each in (x, image)]
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, InterpolateLike(factor)(*inputs))
    assert model.output_shape == ((None, height, width, 3) if known else (None, None, None, 3))
    result = model.predict([x, image], verbose=0)
    np.testing.assert_allclose(result, interpolate(x, factor, (height, width)), atol=1e-5)
    np.testing.assert_allclose(result[:, ::factor, ::factor], x, atol=1e-6)


def test_interpolation_of_a_ramp_is_the_ramp():
    x = np.arange(5.0)[None, :, None, None] + 10 * np.arange(4.0)[None, None, :, None]
    result = InterpolateLike(8)(x, like=np.zeros((1, 33, 25, 1)))
    expected = np.arange(33) / 8 + 10 * np.arange(25)[:, None] / 8
    np.testing.assert_allclose(keras.ops.convert_to_numpy(result)[0, :, :, 0], expected.T, rtol=1e-6)


@pytest.mark.parametrize("size", [(16, 24), (25, 25), (25, 16)])
def test_interpolation_refuses_sizes_that_do_not_go_together(size):
    with pytest.raises(ValueError, match=rf"enlarges 8 times to the size of like, \({size[0]}, {size[1]}\)"):
        InterpolateLike(8)(keras.Input((3, 3, 1)), keras.Input((*size, 3)))


@pytest.mark.parametrize("factor", [0, -1, 2.0, "2"])
def test_factors_and_sizes_are_positive_ints(factor):
    with pytest.raises(ValueError, match="factor must be a positive int"):
        InterpolateLike(factor)
    with pytest.raises(ValueError, match="size must be a positive int"):
        ZeroPaddingTo(factor)


@pytest.mark.parametrize("known", [True, False])
def test_broadcasting_repeats_the_only_element(known):
    x, like = random_map(1, 1), random_map(4, 7, channels=2)
    inputs = [keras.Input((1, 1, 3)), keras.Input((4, 7, 2) if known else (None, None, 2))]
    model = keras.Model(inputs, BroadcastLike()(*inputs))
    assert model.output_shape == ((None, 4, 7, 3) if known else (None, None, None, 3))
    np.testing.assert_array_equal(model.predict([x, like], verbose=0), np.tile(x, (1, 4, 7, 1)))


def test_broadcasting_refuses_a_map_of_several_elements():
    with pytest.raises(ValueError, match=r"repeats a map of one element, not of \(2, 1\)"):
        BroadcastLike()(keras.Input((2, 1, 3)), keras.Input((4, 7, 3)))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("size", "expected"), [((3, 9), (7, 9)), ((7, 7), (7, 7)), ((1, 1), (7, 7)), ((8, 2), (8, 7))])
def test_padding_lengthens_a_small_map_and_leaves_a_large_one(size, expected, known):
    x = random_map(*size)
    inputs = keras.Input((*size, 3) if known else (None, None, 3))
    model = keras.Model(inputs, ZeroPaddingTo(7)(inputs))
    assert model.output_shape == ((None, *expected, 3) if known else (None, None, None, 3))
    after = [(0, 0), (0, expected[0] - size[0]), (0, expected[1] - size[1]), (0, 0)]
    np.testing.assert_array_equal(model.predict(x, verbose=0), np.pad(x, after))


def test_layers_are_saved_with_what_they_were_told(tmp_path):
    x, like = keras.Input((None, None, 3)), keras.Input((None, None, 1))
    y = InterpolateLike(4, name="larger")(ZeroPaddingTo(5, name="padded")(x), like)
    keras.Model([x, like], y).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("larger").factor == 4
    assert loaded.get_layer("padded").size == 5
