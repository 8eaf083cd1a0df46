"""Recipes: what they set, what overrides them, and that their runs keep what they should."""

import json
from dataclasses import asdict
from pathlib import Path

import keras
import numpy as np
import pytest
from streets_folder import write_streets

from keras_segnet.callbacks import BatchNormRecalibration
from keras_segnet.cli.main import run
from keras_segnet.data import Classes, folder, street_scenes
from keras_segnet.errors import InputError
from keras_segnet.training.configuration import RunConfig
from keras_segnet.training.network import build_for_training
from keras_segnet.training.recipes import RECIPES, settings_of
from keras_segnet.training.run import Run

CLASSES: Classes = street_scenes("train", 1, (24, 32)).classes


def config_of(recipe: str | None, model: str, **more: object) -> RunConfig:
    return RunConfig.of(**{"data": "streets", "model": model, "recipe": recipe, "precision": "float32", **more})


@pytest.mark.parametrize(
    ("model", "rate", "steps"),
    [("segnet_basic", 0.1, 10_000), ("segnet", 1e-3, 40_000), ("bayesian_segnet", 1e-3, 60_000)],
)
def test_the_papers_set_up(model: str, rate: float, steps: int) -> None:
    config = config_of("paper", model)
    assert (config.optimizer, config.learning_rate, config.schedule) == ("sgd", rate, "constant")
    assert (config.batch_size, config.weight_decay, config.augment) == (12, 5e-4, False)
    assert (config.balancing, config.loss_normalization, config.preprocessing) == ("presence", "valid_pixels", "lcn")
    assert (config.balancing_exponent, config.largest_weight, config.monitor) == (1.0, None, "global_accuracy")
    assert config.recalibrate and config.ema_momentum is None and config.weights is None
    assert config.epochs * 31 == pytest.approx(steps, rel=0.01)

    model_of_it = build_for_training(config_of("paper", model, width=0.05, input_size=(32, 40)), CLASSES, steps=31)
    optimizer = model_of_it.optimizer
    assert (type(optimizer).__name__, optimizer.momentum, optimizer.decay_in_gradient) == ("CaffeSGD", 0.9, 5e-4)
    assert float(optimizer.learning_rate) == pytest.approx(rate)
    assert model_of_it.loss.normalization == "valid_pixels"
    assert type(model_of_it.get_layer("norm")).__name__ == "LocalContrastNormalization"


def test_the_paper_with_pretrained_weights_normalises_as_they_expect() -> None:
    assert settings_of("paper", "segnet", "imagenet")["preprocessing"] == "imagenet"


def test_modern_is_the_defaults_with_averages() -> None:
    modern, plain = (asdict(config_of(recipe, "segnet")) for recipe in ("modern", None))
    differing = {key for key in plain if modern[key] != plain[key]}
    assert differing == {"recipe", "ema_momentum", "recalibrate"}
    assert build_for_training(
        config_of("modern", "segnet", width=0.05, input_size=(32, 40)), CLASSES, steps=3
    ).optimizer.use_ema


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(InputError, match="paper or modern"):
        settings_of("pasta", "segnet")
    assert set(RECIPES) == {"paper", "modern"}


def test_released_class_weights() -> None:
    model = build_for_training(
        config_of(None, "segnet_basic", width=0.05, input_size=(32, 40), balancing="released", balancing_exponent=0.5),
        CLASSES,
        steps=3,
    )
    # segnet_train.prototxt: Sky, SignSymbol.
    weights = model.loss.class_weights.numpy()
    np.testing.assert_allclose(weights[[0, 6]], np.sqrt([0.2595, 9.6446]), rtol=1e-6)


def test_a_run_of_old_settings_can_still_be_read(tmp_path: Path) -> None:
    run_folder = Run(tmp_path)
    run_folder.write_config(config_of(None, "segnet"), *[street_scenes("train", 2, (24, 32))] * 2)
    content = json.loads(run_folder.config_path.read_text())
    new = ("recipe", "preprocessing", "schedule", "loss_normalization", "ema_momentum", "recalibrate", "precision")
    newer = ("accumulate", "balancing_exponent", "largest_weight", "monitor", "weights", "model")
    for name in (*new, *newer):
        del content[name]
    run_folder.config_path.write_text(json.dumps(content))
    before = {"balancing_exponent": 1.0, "largest_weight": None, "monitor": "global_accuracy", "precision": "float32"}
    assert run_folder.config() == config_of(None, "segnet", **before)


@pytest.fixture(scope="module")
def paper_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    base = tmp_path_factory.mktemp("paper")
    data, output = write_streets(base / "data"), base / "run"
    small = [
        "--model",
        "segnet_basic",
        "--width",
        "0.05",
        "--input-size",
        "24x32",
        "--epochs",
        "2",
        "--batch-size",
        "4",
    ]
    more = ["--recipe", "paper", "--precision", "mixed_bfloat16", "--ema-momentum", "0.5", "--balancing", "none"]
    assert run(["train", "--data", str(data), *small, *more, "--output", str(output)]) == 0
    return data, output


def test_config_json_holds_what_was_resolved(paper_run: tuple[Path, Path]) -> None:
    config = json.loads((paper_run[1] / "config.json").read_text())
    assert config["recipe"] == "paper"
    # Of the recipe.
    assert (config["optimizer"], config["learning_rate"], config["schedule"]) == ("sgd", 0.1, "constant")
    assert (config["preprocessing"], config["recalibrate"], config["augment"]) == ("lcn", True, False)
    # Given, also where it is what would be the default without a recipe.
    assert (config["epochs"], config["batch_size"], config["balancing"]) == (2, 4, "none")
    assert (config["precision"], config["ema_momentum"]) == ("mixed_bfloat16", 0.5)


def test_the_model_has_the_statistics_of_the_training_set(paper_run: tuple[Path, Path]) -> None:
    """Those of its own weights, the averages, though computed in bfloat16."""
    data, output = paper_run
    model = keras.models.load_model(output / "model.keras", compile=False)
    kept = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [layer.get_weights()[2:] for layer in kept]
    recalibration = BatchNormRecalibration(folder(data, "train"), 4, (24, 32))
    recalibration.set_model(model)
    recalibration.recalibrate()
    for layer, (mean, variance) in zip(kept, before, strict=True):
        deviation = np.sqrt(layer.get_weights()[3])
        np.testing.assert_allclose(mean / deviation, layer.get_weights()[2] / deviation, atol=0.05)
        np.testing.assert_allclose(np.sqrt(variance) / deviation, 1, atol=0.1)


def test_the_model_is_in_float32_and_the_checkpoint_is_not_averaged(paper_run: tuple[Path, Path]) -> None:
    model, checkpoint = (
        keras.models.load_model(paper_run[1] / f"{name}.keras", compile=False) for name in ("model", "checkpoint")
    )
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert "bfloat16" in {layer.compute_dtype for layer in checkpoint.layers}
    assert any((a != b).any() for a, b in zip(model.get_weights(), checkpoint.get_weights(), strict=True))
