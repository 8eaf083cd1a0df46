"""`keras-segnet models`, and the page that it writes."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_segnet.cli.main import run
from keras_segnet.data.camvid import CLASSES
from keras_segnet.models import NETWORKS
from keras_segnet.models.graph import score_layers
from keras_segnet.training.configuration import RunConfig
from keras_segnet.training.network import build_for_training

PAGE = Path(__file__).parents[2] / "docs" / "networks.md"


def test_every_network_is_listed_with_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    lines = [[cell.strip() for cell in line.split("│")] for line in capsys.readouterr().out.splitlines()]
    figures = {cells[1]: cells[2:6] for cells in lines if len(cells) == 7}
    assert [name for name in figures if name in NETWORKS] == list(NETWORKS)
    assert figures["segnet_basic"] == ["1.417", "1.425", "59.19", "106x106"]


def test_the_page_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--markdown"]) == 0
    assert capsys.readouterr().out == PAGE.read_text(), (
        "make it again: keras-segnet models --markdown > docs/networks.md"
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_can_be_named_to_train(network: str) -> None:
    """As `keras-segnet train --model NAME` compiles it; the optimiser meets kernels of every kind."""
    keras.utils.set_random_seed(0)
    config = RunConfig(data="streets", model=network, width=0.05, input_size=(32, 40), epochs=1, precision="float32")
    model = build_for_training(config, CLASSES, steps=1)
    assert model.name == network
    scoring = [layer for layer in model.layers if layer.name in score_layers(model)]
    assert scoring and all(model.optimizer._should_use_adamw(layer.kernel) for layer in scoring)
    model.run_eagerly = True  # Compiling takes longer than a step.
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (2, 32, 40, 3)), random.integers(0, len(CLASSES), (2, 32, 40))
    # Not the biases: batch normalisation takes them away again, so what moves them is rounding, or nothing.
    kernels = [layer.kernel for layer in model.layers if hasattr(layer, "kernel")]
    before = [kernel.numpy() for kernel in kernels]
    assert np.isfinite(model.train_on_batch(images.astype("float32"), labels)[0])
    assert all(np.isfinite(weights.numpy()).all() for weights in model.trainable_variables)
    for kernel, old in zip(kernels, before, strict=True):
        assert (kernel.numpy() != old).any(), kernel.path
