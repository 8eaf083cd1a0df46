"""What makes a training run: its settings, and the compiled network that they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.data.camvid import RELEASED_CLASS_WEIGHTS
from keras_segnet.data.dataset import Classes
from keras_segnet.data.images import MOST_PIXELS
from keras_segnet.errors import InputError
from keras_segnet.inference.segmenters import load_keras_model
from keras_segnet.losses import NORMALIZATIONS, WeightedCrossentropy
from keras_segnet.metrics import SegmentationScores
from keras_segnet.models import NETWORKS, build
from keras_segnet.models.graph import score_layers
from keras_segnet.models.trained import start_from
from keras_segnet.optimizers import CaffeSGD, ConvolutionMuon
from keras_segnet.training.recipes import is_of_table_1

WARMUP_EPOCHS = 2

OPTIMIZERS = {"muon": 4e-3, "adamw": 2e-3, "sgd": 0.1}
"""Optimisers of a run, and the learning rate of each."""

DEEP_SGD_RATE = 1e-3
"""Learning rate of SGD for networks that are not of the paper's Table 1, as in the released solvers."""

SCHEDULES = ("cosine", "constant")
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class RunConfig:
    """What makes a run; `config.json` holds it.

    Attributes:
        data: "camvid", "streets" or a folder, as `keras_segnet.data.open_dataset` takes it.
        recipe: of `keras_segnet.training.recipes`, from which the settings were taken that were not given; for the
            record, because the settings are all here.
        model: registry name of the network.
        width: factor on its channel counts.
        input_size: height and width at which it is trained.
        epochs: passes over the training set.
        batch_size: images a step.
        weights: initial weights: None; "imagenet" or the path of an .npz for the encoder; "camvid" for a network of
            which the package has weights; or the path of a .keras file of the same network, to train further. The
            classifier starts anew where that was trained on another number of classes.
        preprocessing: what the network does to colours first: "imagenet", "lrn", "lcn" or "none". None, the default, is
            the network's own.
        seed: of initial weights, order, augmentation and dropout.
        optimizer: "muon" (`ConvolutionMuon`; without pretrained weights it takes a deep SegNet a third of the epochs
            that AdamW takes to get signals through the bottleneck), "adamw", or "sgd" (`CaffeSGD`, with momentum 0.9).
        learning_rate: highest rate of the schedule. None, the default, becomes the optimiser's own in `OPTIMIZERS`,
            which for "sgd" and deep networks is `DEEP_SGD_RATE`.
        schedule: "cosine": up in a straight line over the first epochs, down along a cosine to zero at the end; or
            "constant".
        weight_decay: of the optimiser.
        loss_normalization: what the weighted sum of pixels' losses is divided by, see `WeightedCrossentropy`.
        balancing: definition of median frequency balancing, "released" for the constants of the released code (for
            CamVid's 11 classes), or "none".
        balancing_exponent: power of its weights.
        augment: whether training images are changed at random, see `keras_segnet.data.Augmentation`.
        scale: range of the factor by which they are scaled then. Narrow ranges suit short runs, wide ones long runs.
        ema_momentum: what the averages of the weights keep of themselves at each step (`WeightAveraging`); it is they
            that are validated and saved as the model. None, the default: the weights themselves are.
        recalibrate: whether batch normalisation is given the statistics of the whole training set before each
            validation (`BatchNormRecalibration`).
        precision: "float32", or "mixed_bfloat16" to compute in bfloat16, on devices that are faster so. The model is
            saved in float32.
    """

    data: str
    recipe: str | None = None
    model: str = "segnet"
    width: float = 1.0
    input_size: tuple[int, int] = (360, 480)
    epochs: int = 100
    batch_size: int = 4
    weights: str | None = None
    preprocessing: str | None = None
    seed: int = 0
    optimizer: str = "muon"
    learning_rate: float | None = None
    schedule: str = "cosine"
    weight_decay: float = 4e-3
    loss_normalization: str = "valid_pixels"
    balancing: str = "presence"
    balancing_exponent: float = 1.0
    augment: bool = True
    scale: tuple[float, float] = (0.75, 1.75)
    ema_momentum: float | None = None
    recalibrate: bool = False
    precision: str = "float32"

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.seed < 0:
            raise InputError(f"seed must not be negative; it is {self.seed}.")
        height, width = self.input_size
        if min(height, width) < 1 or height * width > MOST_PIXELS:
            raise InputError(
                f"input_size must be two positive numbers, at most {MOST_PIXELS:,} pixels; it is {self.input_size}."
            )
        for name, allowed in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("loss_normalization", NORMALIZATIONS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in allowed:
                option = name.replace("_", "-")
                raise InputError(f"--{option} {getattr(self, name)}: must be {' or '.join(allowed)}.")
        if self.ema_momentum is not None and not 0 <= self.ema_momentum < 1:
            raise InputError(f"--ema-momentum {self.ema_momentum}: must be at least 0 and below 1.")
        if self.learning_rate is None:
            # Here, so that config.json holds the rate that was used.
            deep_sgd = self.optimizer == "sgd" and not is_of_table_1(self.model)
            object.__setattr__(self, "learning_rate", DEEP_SGD_RATE if deep_sgd else OPTIMIZERS[self.optimizer])


def build_for_training(config: RunConfig, classes: Classes, steps: int) -> keras.Model:
    """The compiled network of a run.

    Args:
        config: of the run.
        classes: of its data.
        steps: an epoch.

    Raises:
        InputError: the configuration names no network, or one that cannot be built so.
    """
    model = build_network(config, classes)
    model.compile(
        optimizer=_optimizer(config, steps, score_layers(model)),
        loss=WeightedCrossentropy(
            len(classes),
            _released_weights(classes) ** config.balancing_exponent if config.balancing == "released" else None,
            classes.ignored,
            normalization=config.loss_normalization,
        ),
        metrics=[SegmentationScores(len(classes), classes.ignored)],
    )
    return model


def build_network(config: RunConfig, classes: Classes) -> keras.Model:
    """The network of a run, in the precision of the run; raises as `build_for_training`."""
    if config.model not in NETWORKS:
        raise InputError(f"--model {config.model}: there is no such network; there are {', '.join(NETWORKS)}.")
    network = NETWORKS[config.model]
    options: dict[str, Any] = {"width": config.width}
    trained = Path(config.weights) if config.weights is not None and config.weights.endswith(".keras") else None
    if config.weights is not None and trained is None:
        if not (network.takes_imagenet or network.trained_on):
            able = ", ".join(name for name, each in NETWORKS.items() if each.takes_imagenet or each.trained_on)
            raise InputError(
                f"--weights {config.weights}: {config.model} takes a .keras file only; those that take more are {able}."
            )
        options["weights"] = config.weights
    if config.preprocessing is not None:
        options["preprocessing"] = None if config.preprocessing == "none" else config.preprocessing
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        model = build(config.model, len(classes), (*config.input_size, 3), **options)
        if trained is not None:
            start_from(model, load_keras_model(trained), str(trained))
        return model
    except (ValueError, FileNotFoundError) as error:
        raise InputError(f"{config.model}: {error}") from error
    finally:
        keras.config.set_dtype_policy(before)


def _optimizer(config: RunConfig, steps: int, scores: Sequence[str]) -> keras.optimizers.Optimizer:
    """The optimiser of a run whose epochs have so many steps, for a network in which these layers give the scores."""
    averages: dict[str, Any] = {}
    if config.ema_momentum is not None:
        averages = {"use_ema": True, "ema_momentum": config.ema_momentum}
    rate = config.learning_rate if config.schedule == "constant" else _warmup_and_cosine(config, steps)
    if config.optimizer == "sgd":
        return CaffeSGD(rate, decay_in_gradient=config.weight_decay, **averages)
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, **averages)
    return ConvolutionMuon(
        rate,
        weight_decay=config.weight_decay,
        adam_weight_decay=config.weight_decay,
        adam_lr_ratio=OPTIMIZERS["adamw"] / OPTIMIZERS["muon"],
        # Filters that are classes are better not forced to be equally strong.
        exclude_layers=[f"^{name}/" for name in scores],
        **averages,
    )


def _warmup_and_cosine(config: RunConfig, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    warmup = min(WARMUP_EPOCHS, config.epochs - 1) * steps
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=config.epochs * steps - warmup,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


def _released_weights(classes: Classes) -> np.ndarray:
    if len(classes) != len(RELEASED_CLASS_WEIGHTS):
        raise InputError(
            f"--balancing released has the weights of CamVid's {len(RELEASED_CLASS_WEIGHTS)} classes; the data have "
            f"{len(classes)}."
        )
    return np.array(RELEASED_CLASS_WEIGHTS)
