"""The gradient of the loss is that of logits under every backend."""

import numpy as np
import pytest
from logits_oracle import WEIGHTS, draw_logits, expected_gradient, gradient_in_fit
from test_all_losses import (  # noqa: F401 (which run here too)
    test_a_step_in_fit_follows_the_slope_of_numpys_answer,
    test_each_loss_is_numpys,
)

from keras_segnet.layers import Softmax
from keras_segnet.losses import WeightedCrossentropy


@pytest.mark.parametrize("largest", [5, 50, 500])
def test_the_gradient_is_that_of_logits_however_sure_the_network_is(largest):
    logits = draw_logits(largest)
    loss = WeightedCrossentropy(3, WEIGHTS, 255, normalization="sum")
    found = gradient_in_fit(logits, Softmax(dtype="float32"), loss)
    np.testing.assert_allclose(found, expected_gradient(logits), rtol=1e-4, atol=1e-4)
