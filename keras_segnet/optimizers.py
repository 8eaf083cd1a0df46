"""Muon for convolutional networks, SGD as Caffe has it, and the optimiser that trains a network here."""

from __future__ import annotations

import math
import re
from typing import Any

import keras
from keras import ops

from keras_segnet import _compat
from keras_segnet.errors import refuse_unknown
from keras_segnet.training.configuration import DEEP_SGD_RATE, OPTIMIZERS, SCHEDULES
from keras_segnet.training.recipes import is_of_table_1


@keras.saving.register_keras_serializable("keras_segnet")
@_compat.overrides("_should_use_adamw", "zeropower_via_newtonschulz5", "lr_adjust")
class ConvolutionMuon(keras.optimizers.Muon):
    """Muon on the kernels of convolutions, AdamW on everything else.

    Muon steps along the momentum of a weight matrix with all its singular values made (nearly) equal, scaled so that
    learning rates mean what they do for AdamW (arXiv 2502.16982). Keras's own does that for dense layers and leaves
    convolutions to AdamW. A kernel `(rows, columns, inputs, filters)` is a matrix too: a column for each filter.

    Args:
        exclude_layers: regular expressions; a kernel whose path has a match for one of them is left to AdamW, as that
            of a classifier should be, whose filters are classes. Default None: none is.
        **kwargs: as for `keras.optimizers.Muon`. AdamW's learning rate is `learning_rate` times `adam_lr_ratio`.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4 or any(re.search(layer, variable.path) for layer in self.exclude_layers)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """Keras's iteration, with two products by the whole matrix in place of two for each step.

        A step multiplies the matrix by a polynomial of its Gram matrix. All these polynomials commute, so they are
        multiplied with one another first, as is what each step makes of the Gram matrix, which is the smaller one: 512
        rows where the kernel has 4,608. The result differs from Keras's by at most 1e-3 in any direction, and Keras's
        from an orthogonal matrix by 0.3.
        """
        matrix = ops.reshape(x, (-1, x.shape[-1]))
        tall = matrix.shape[0] >= matrix.shape[1]
        matrix = matrix / (ops.norm(matrix) + 1e-7)
        transposed = ops.transpose(matrix)
        gram = transposed @ matrix if tall else matrix @ transposed
        product = identity = ops.eye(gram.shape[0], dtype=gram.dtype)
        for _ in range(steps):
            polynomial = self.muon_a * identity + self.muon_b * gram + self.muon_c * gram @ gram
            product = product @ polynomial
            gram = polynomial @ gram @ polynomial
        return ops.reshape(matrix @ product if tall else product @ matrix, x.shape)

    def lr_adjust(self, x: Any) -> Any:
        if self.rms_rate is None:
            return x
        return x * (math.sqrt(max(math.prod(x.shape[:-1]), x.shape[-1])) * self.rms_rate)


@keras.saving.register_keras_serializable("keras_segnet")
class CaffeSGD(keras.optimizers.SGD):
    """SGD with momentum as in Caffe's solver, with the multipliers of the released segnet_train.prototxt.

    Decay is part of the gradient, so momentum carries it too; with `weight_decay`, Keras's own optimisers take it off
    beside momentum, which at a momentum of 0.9 is a tenth as much. Biases learn at twice the rate. They and the offsets
    of batch normalisation do not decay. (In segnet_basic_train.prototxt these offsets do.)

    Args:
        learning_rate: a number or a schedule. Default 0.1, the solver's for SegNet-Basic.
        momentum: default 0.9, the solver's.
        decay_in_gradient: what the weights are multiplied by and added to the gradient. Default 5e-4, the solver's
            `weight_decay`.
        **kwargs: as for `keras.optimizers.SGD`.
    """

    def __init__(
        self, learning_rate: Any = 0.1, momentum: float = 0.9, decay_in_gradient: float = 5e-4, **kwargs: Any
    ) -> None:
        super().__init__(learning_rate, momentum, **kwargs)
        self.decay_in_gradient = decay_in_gradient

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        variables = _compat.variables_of(self) if trainable_variables is None else trainable_variables
        grads = [self._as_caffe_has_it(g, v) for g, v in zip(grads, variables, strict=True)]
        super().apply(grads, trainable_variables)

    def _as_caffe_has_it(self, gradient: Any, variable: Any) -> Any:
        if gradient is None or variable.name == "beta":
            return gradient
        # The step is proportional to the gradient, and so twice as long.
        return 2 * gradient if variable.name == "bias" else gradient + self.decay_in_gradient * variable

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decay_in_gradient": self.decay_in_gradient}


@keras.saving.register_keras_serializable("keras_segnet")
class ScheduleOfUpdates(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule counted in updates of the weights, for an optimiser that accumulates gradients.

    Keras asks a schedule for the rate of each batch, also where `gradient_accumulation_steps` batches make an update.

    Args:
        schedule: a `keras.optimizers.schedules.LearningRateSchedule` of updates.
        accumulate: batches an update.
    """

    def __init__(self, schedule: Any, accumulate: int) -> None:
        super().__init__()
        self.schedule = schedule
        self.accumulate = accumulate

    def __call__(self, step: Any) -> Any:
        return self.schedule(step // self.accumulate)

    def get_config(self) -> dict[str, Any]:
        schedule = keras.optimizers.schedules.serialize(self.schedule)
        return {"schedule": schedule, "accumulate": self.accumulate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ScheduleOfUpdates:
        return cls(keras.optimizers.schedules.deserialize(config["schedule"]), config["accumulate"])


def warmup_and_cosine(
    learning_rate: float, steps: int, warmup_steps: int, accumulate: int = 1
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The cosine schedule of `for_training`, with the arguments described there."""
    rising = warmup_steps // accumulate
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if rising else learning_rate,
        decay_steps=max(1, steps // accumulate - rising),
        warmup_target=learning_rate if rising else None,
        warmup_steps=rising,
    )
    return schedule if accumulate == 1 else ScheduleOfUpdates(schedule, accumulate)


def for_training(
    model: keras.Model,
    steps: int,
    *,
    warmup_steps: int | None = None,
    optimizer: str = "muon",
    learning_rate: float | None = None,
    schedule: str = "cosine",
    weight_decay: float = 4e-3,
    ema_momentum: float | None = None,
    accumulate: int = 1,
) -> keras.optimizers.Optimizer:
    """The optimiser and schedule of `keras_segnet.train`, for `model.compile`.

    >>> steps = epochs * keras_segnet.data.steps_per_epoch(training, batch_size)
    >>> model.compile(optimizer=keras_segnet.optimizers.for_training(model, steps), loss=...)

    Args:
        model: the network. Its classifier is left to AdamW where Muon takes the other kernels: filters that are classes
            are better not forced to be equally strong.
        steps: training steps in all, a batch each: epochs times steps an epoch.
        warmup_steps: steps over which a cosine schedule first rises. Default: a fortieth of `steps`, two of 80 epochs;
            `keras_segnet.train` takes two epochs' steps.
        optimizer: "muon" (default, `ConvolutionMuon`), "adamw" or "sgd" (`CaffeSGD`).
        learning_rate: highest learning rate. Default: 4e-3 for muon, 2e-3 for adamw, and for sgd the released solvers':
            0.1 for the networks of the paper's Table 1, 1e-3 for deep ones.
        schedule: "cosine" (default): up in a straight line, then down along a cosine to zero; or "constant".
        weight_decay: default 4e-3; the released code has 5e-4.
        ema_momentum: what averages of the weights keep of themselves at each update (`use_ema`). Default: no averages.
        accumulate: batches whose gradients are averaged for an update (`gradient_accumulation_steps`). Default 1. The
            schedule and the averages go by updates.

    Raises:
        InputError: there is no such optimiser or schedule.
    """
    from keras_segnet.models.graph import score_layers  # See `keras_segnet._register`.

    refuse_unknown("optimizer", optimizer, OPTIMIZERS)
    refuse_unknown("schedule", schedule, SCHEDULES)
    if learning_rate is None:
        deep_sgd = optimizer == "sgd" and not is_of_table_1(model.name)
        learning_rate = DEEP_SGD_RATE if deep_sgd else OPTIMIZERS[optimizer]
    rate: Any = learning_rate
    if schedule == "cosine":
        rate = warmup_and_cosine(
            learning_rate, steps, steps // 40 if warmup_steps is None else warmup_steps, accumulate
        )
    more: dict[str, Any] = {}
    if ema_momentum is not None:
        # Keras averages after each batch, whether or not it updates.
        more = {"use_ema": True, "ema_momentum": ema_momentum ** (1 / accumulate)}
    if accumulate > 1:
        more["gradient_accumulation_steps"] = accumulate
    if optimizer == "sgd":
        return CaffeSGD(rate, decay_in_gradient=weight_decay, **more)
    if optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=weight_decay, **more)
    return ConvolutionMuon(
        rate,
        weight_decay=weight_decay,
        adam_weight_decay=weight_decay,
        adam_lr_ratio=OPTIMIZERS["adamw"] / OPTIMIZERS["muon"],
        exclude_layers=[f"^{name}/" for name in score_layers(model)],
        **more,
    )


__all__ = ["CaffeSGD", "ConvolutionMuon", "ScheduleOfUpdates", "for_training", "warmup_and_cosine"]
