"""Arguments and tensors that pooling and unpooling refuse."""

import keras
import numpy as np
import pytest

from keras_segnet.layers import (
    MaxPoolingWithArgmax2D,
    MaxUnpooling2D,
)


@pytest.mark.parametrize("layer", [MaxPoolingWithArgmax2D, MaxUnpooling2D])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pool_size": 0}, "pool_size must be"),
        ({"pool_size": (2, -1)}, "pool_size must be"),
        ({"pool_size": (2, 2, 2)}, "pool_size must be"),
        ({"pool_size": 2.0}, "pool_size must be"),
        ({"pool_size": None}, "pool_size must be"),
        ({"strides": 0}, "strides must be"),
        ({"padding": "full"}, "padding must be"),
        ({"data_format": "channels_first"}, "data_format must be"),
        ({"pool_size": (12, 11)}, "at most 128 places"),
    ],
)
def test_bad_arguments_are_refused_by_name(layer, arguments, message):
    with pytest.raises(ValueError, match=message):
        layer(**arguments)


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (1, 1, 4, 4, 1)])
def test_pooling_refuses_what_has_not_four_dimensions(shape):
    with pytest.raises(ValueError, match=r"takes a tensor \(batch, height, width, channels\)"):
        MaxPoolingWithArgmax2D()(np.zeros(shape, "float32"))
    with pytest.raises(ValueError, match=r"takes a tensor \(batch, height, width, channels\)"):
        MaxPoolingWithArgmax2D()(keras.KerasTensor(shape))


@pytest.mark.parametrize(
    ("updates", "indices"), [((1, 2, 2, 3), (1, 2, 2, 1)), ((1, 2, 2, 1), (1, 3, 2, 1)), ((2, 2, 1), (2, 2, 1))]
)
def test_unpooling_refuses_indices_of_another_shape(updates, indices):
    with pytest.raises(ValueError, match="of one shape"):
        MaxUnpooling2D()(np.zeros(updates, "float32"), np.zeros(indices, "int64"))
    with pytest.raises(ValueError, match="of one shape"):
        MaxUnpooling2D()(keras.KerasTensor(updates), keras.KerasTensor(indices, "int64"))


def test_pooling_refuses_an_encoding_that_it_does_not_know():
    with pytest.raises(ValueError, match="encoding must be one of 'window', 'flat'; not 'arithmetic'"):
        MaxPoolingWithArgmax2D(encoding="arithmetic")


@pytest.mark.parametrize(("dtype", "compute_dtype"), [("bool", "float32"), ("float32", "float16")])
def test_unpooling_refuses_indices_that_are_no_integers(dtype, compute_dtype):
    # Keras casts a float mask to what the layer computes in, and half precision counts no further than 2048.
    with pytest.raises(ValueError, match="takes indices of integers"):
        MaxUnpooling2D(dtype=compute_dtype)(np.zeros((1, 2, 2, 1), "float32"), np.zeros((1, 2, 2, 1), dtype))


@pytest.mark.parametrize(
    ("padding", "size"), [("same", (4, 7)), ("same", (2, 4)), ("valid", (4, 3)), ("valid", (6, 4)), ("same", (8, 8))]
)
def test_unpooling_refuses_a_like_that_cannot_be_the_pooled_map(padding, size):
    updates, indices = np.zeros((1, 2, 2, 1), "float32"), np.zeros((1, 2, 2, 1), "int64")
    with pytest.raises(ValueError, match="like has height and width"):
        MaxUnpooling2D(padding=padding)(updates, indices, like=np.zeros((1, *size, 1), "float32"))


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), ()])
def test_unpooling_refuses_a_like_that_has_not_four_dimensions(shape):
    updates, indices = np.zeros((1, 2, 2, 1), "float32"), np.zeros((1, 2, 2, 1), "int64")
    with pytest.raises(ValueError, match=r"like must be a tensor \(batch, height, width, channels\)"):
        MaxUnpooling2D()(updates, indices, like=np.zeros(shape, "float32"))
