"""The compiled network that the settings of a run mean."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from keras_segnet.data.camvid import RELEASED_CLASS_WEIGHTS
from keras_segnet.data.dataset import Classes
from keras_segnet.data.images import MOST_PIXELS
from keras_segnet.errors import InputError
from keras_segnet.losses import build_loss
from keras_segnet.metrics import SegmentationScores
from keras_segnet.models import build
from keras_segnet.models.graph import stride
from keras_segnet.optimizers import for_training, warmup_and_cosine
from keras_segnet.training.configuration import RunConfig

WARMUP_EPOCHS = 2


def build_for_training(config: RunConfig, classes: Classes, steps: int) -> keras.Model:
    """The compiled network of a run.

    Args:
        config: of the run, with a precision other than "auto".
        classes: of its data.
        steps: an epoch.

    Raises:
        InputError: the configuration names no network, or one that cannot be built so.
    """
    model = build_network(config, classes)
    model.compile(
        optimizer=optimizer_of(config, model, steps),
        loss=build_loss(
            config.loss,
            len(classes),
            _released_weights(classes) ** config.balancing_exponent if config.balancing == "released" else None,
            classes.ignored,
            normalization=config.loss_normalization,
            label_smoothing=config.label_smoothing,
        ),
        # Pixels beside an image are ignored, where no label is too.
        metrics=[SegmentationScores(len(classes), classes.ignored_or_unused)],
    )
    return model


def optimizer_of(config: RunConfig, model: keras.Model, steps: int) -> keras.optimizers.Optimizer:
    """The optimiser of a run whose epochs have so many steps."""
    return for_training(
        model,
        steps=config.epochs * steps,
        warmup_steps=_warmup_steps(config, steps),
        optimizer=config.optimizer,
        learning_rate=config.learning_rate,
        schedule=config.schedule,
        weight_decay=config.weight_decay,
        ema_momentum=config.ema_momentum,
        accumulate=config.accumulate,
    )


def set_schedule(config: RunConfig, model: keras.Model, steps: int) -> None:
    """Gives the model of a checkpoint the schedule of its run, whose number of epochs may have grown since."""
    if config.schedule == "cosine":
        assert config.learning_rate is not None
        model.optimizer.learning_rate = warmup_and_cosine(
            config.learning_rate, config.epochs * steps, _warmup_steps(config, steps), config.accumulate
        )


def _warmup_steps(config: RunConfig, steps: int) -> int:
    return min(WARMUP_EPOCHS, config.epochs - 1) * steps


def build_network(config: RunConfig, classes: Classes) -> keras.Model:
    """The network of a run, in the precision of the run; raises as `build_for_training`."""
    height, width = config.input_size
    if height * width > MOST_PIXELS:
        raise InputError(f"`input_size` {height}x{width} is too large; at most {MOST_PIXELS:,} pixels are allowed.")
    options: dict[str, Any] = {"width": config.width, "weights": config.weights}
    if config.preprocessing is not None:
        options["preprocessing"] = None if config.preprocessing == "none" else config.preprocessing
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        model = build(config.model, len(classes), (height, width, 3), **options)
    except (ValueError, FileNotFoundError) as error:
        raise InputError(f"{config.model}: {error}") from error
    finally:
        keras.config.set_dtype_policy(before)
    if min(height, width) < (least := stride(model)):
        raise InputError(
            f"`input_size` {height}x{width} is below the stride of {config.model}; it must be at least {least}x{least}."
        )
    return model


def _released_weights(classes: Classes) -> np.ndarray:
    if len(classes) != len(RELEASED_CLASS_WEIGHTS):
        raise InputError(
            f"`balancing` released has the weights of CamVid's {len(RELEASED_CLASS_WEIGHTS)} classes; the data have "
            f"{len(classes)}."
        )
    return np.array(RELEASED_CLASS_WEIGHTS)


__all__ = ["build_for_training", "build_network", "optimizer_of", "set_schedule"]
