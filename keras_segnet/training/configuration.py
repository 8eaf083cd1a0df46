"""The settings of a training run, each written once.

The fields of `RunConfig` are the keywords of `keras_segnet.train`, the options of `keras-segnet train` with their help,
what config.json holds, what a resumed run must agree with, and the table in report.md. Adding a setting adds a field.

Imports no framework, so that help and refusals come at once.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from keras_segnet.catalogue import BALANCING, networks, trained_on
from keras_segnet.errors import InputError, nearest, refuse_unknown, shown
from keras_segnet.training.recipes import RECIPES, is_of_table_1, settings_of

Function = TypeVar("Function", bound=Callable[..., Any])

DATA_HELP = (
    "Read labelled images from this folder: your own images/ and labels/; CamVid, VOC 2012, Cityscapes or SUN RGB-D as "
    "published; or an export of COCO, LabelMe, CVAT, YOLO, Label Studio or Supervisely. The kind is recognised; "
    "voc2012:FOLDER states it. Two words need no folder: 'camvid' downloads CamVid, 'streets' draws street scenes."
)

OPTIMIZERS = {"muon": 4e-3, "adamw": 2e-3, "sgd": 0.1}
"""Optimisers of a run, and the highest learning rate of each."""

DEEP_SGD_RATE = 1e-3
"""Learning rate of SGD for networks that are not of the paper's Table 1, as in the released solvers."""

FITS = ("auto", "stretch", "pad", "tile")
"""Rules by which an image becomes network inputs: those of `keras_segnet.data.geometry.Fit`."""

LOSSES = ("crossentropy", "focal", "ohem", "dice", "lovasz")
"""Losses of a run: `keras_segnet.losses.KINDS`."""

SCHEDULES = ("cosine", "constant")
NORMALIZATIONS = ("valid_pixels", "weights", "sum")
BALANCINGS = (*BALANCING, "released", "none")

WEIGHTS = ("auto", "none", "camvid", "imagenet")
"""Values of `weights` that are no paths."""

LARGEST_SCALE = 16
"""Largest factor by which augmentation may scale an image; memory grows with its square."""

WEIGHT_FILES = (".npz", ".keras")

MONITORS = ("mean_iou", "global_accuracy", "class_average_accuracy")
"""Validation scores that can pick the epoch that is kept."""


def setting(
    default: Any,
    help: str,
    *,
    unset: str | None = None,
    choices: Any = None,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    before: Any = MISSING,
) -> Any:
    """A field of `RunConfig`.

    Args:
        default: the value where none is given.
        help: what the setting does, in the imperative, for the command line and the docstring.
        unset: what a default of None means.
        choices: the values that are allowed, if they are few; or a function that gives them when a value is checked.
        above: what the value must be larger than, if there is a bound.
        least, most: the smallest and the largest value that are allowed, if there are bounds.
        before: what runs did whose config.json does not have the setting. Default: the default.
    """
    metadata = {
        "help": help,
        "shown": default if unset is None else unset,
        "choices": choices,
        "above": above,
        "least": least,
        "most": most,
        "before": default if before is MISSING else before,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class RunConfig:
    """The settings of a training run; `describe_settings` explains each field.

    Raises:
        InputError: a setting has a value that is not allowed.
    """

    data: str | None = setting(None, DATA_HELP)
    recipe: str | None = setting(
        None,
        "Start from the settings of a recipe: paper (the paper's Table 1) or modern (the defaults with averaged "
        "weights). Settings given beside it override it.",
        choices=RECIPES,
    )
    model: str = setting(
        "segnet_edge",
        "Train this network; the command keras-segnet models lists all.",
        choices=networks,
        before="segnet",
    )
    width: float = setting(1.0, "Multiply the number of channels of every layer by this factor.", above=0, most=32)
    input_size: tuple[int, int] = setting((360, 480), "Set the network's input to this height and width, in pixels.")
    fit: str = setting(
        "auto",
        "Turn images into network inputs by this rule, which is saved with the model: stretch (the whole image, "
        "whatever its aspect ratio), pad (the whole image, its aspect ratio kept by ignored padding), tile (crops at "
        "the image's own scale), or auto (tile for images more than twice as high or wide as the input, else stretch).",
        choices=FITS,
        before="stretch",
    )
    image_scale: float = setting(
        1.0, "Resize images by this factor before crops are cut; for the rules tile and auto.", above=0
    )
    epochs: int = setting(100, "Train for this many passes over the training set.", least=1, most=10**6)
    batch_size: int = setting(4, "Train on this many images at each step.", least=1, most=2**16)
    accumulate: int = setting(
        1,
        "Average the gradients of this many batches before each weight update: the effect of one large batch in the "
        "memory of a small one. Batch normalisation still sees the small batches.",
        least=1,
        most=2**16,
    )
    # On a public set of cell nuclei this start has a test mIoU of 83.8 %, and a slim SegNet from random weights 71.9 %.
    weights: str | None = setting(
        "auto",
        "Start from these weights: camvid (for segnet_edge and segnet_basic; research only), imagenet or an .npz file "
        "of VGG16's convolutions (for the encoder), a .keras file of the same network, or none (random). auto "
        "is camvid if the network has it and neither width nor preprocessing is changed, else none. If the classes "
        "differ, the classifier starts from random weights.",
        before=None,
    )
    preprocessing: str | None = setting(
        None,
        "Normalise the input inside the network: imagenet (by mean and standard deviation), lrn (local response "
        "normalisation, as in the released SegNet-Basic), lcn (local contrast normalisation, as in the paper) or none "
        "(as in the released SegNet).",
        unset="the network's own",
    )
    seed: int = setting(
        0,
        "Draw initial weights, image order, augmentation and dropout from this random seed.",
        least=0,
        most=2**32 - 1,
    )
    # Without pretrained weights, Muon gets signals through a deep SegNet's bottleneck in a third of AdamW's epochs.
    optimizer: str = setting(
        "muon", "Optimise with muon (ConvolutionMuon), adamw or sgd (as in Caffe, momentum 0.9).", choices=OPTIMIZERS
    )
    learning_rate: float | None = setting(
        None,
        "Set the highest learning rate of the schedule.",
        unset=f"{OPTIMIZERS['muon']:g} for muon, {OPTIMIZERS['adamw']:g} for adamw, {OPTIMIZERS['sgd']:g} for sgd; "
        f"{DEEP_SGD_RATE:g} for sgd and deep networks",
        above=0,
    )
    schedule: str = setting(
        "cosine",
        "Change the learning rate by this schedule: cosine (after a warm-up of two epochs) or constant.",
        choices=SCHEDULES,
    )
    weight_decay: float = setting(4e-3, "Set the optimiser's weight decay; the released code has 5e-4.", least=0)
    loss: str = setting(
        "crossentropy",
        "Minimise this loss: crossentropy (as in the paper), focal, ohem (crossentropy of the hardest quarter of the "
        "pixels), dice, lovasz (for mean IoU), or the sum of two, as crossentropy+dice.",
    )
    label_smoothing: float = setting(0.0, "Spread this share of each label over all classes, from 0 to below 1.")
    loss_normalization: str = setting(
        "valid_pixels",
        "Divide losses over pixels by valid_pixels (the number of pixels that are not ignored, as in the released "
        "code), weights (the sum of their class weights) or nothing (sum, as in the paper).",
        choices=NORMALIZATIONS,
    )
    balancing: str = setting(
        "presence",
        "Weight classes by this form of median frequency balancing, in losses over pixels: presence (as in the paper), "
        "presence_with_ignored, global, released (the constants of the released code, for CamVid), or none.",
        choices=BALANCINGS,
    )
    # With 1 and no bound, a class of 0.08 % of the pixels weighs 163 and all its neighbours are taken for it.
    balancing_exponent: float = setting(
        0.5,
        "Raise class weights to this power: 1 balances as in the paper, 0.5 less, 0 not at all.",
        least=0,
        most=10,
        before=1.0,
    )
    # About the largest of the constants in the released code, 9.6.
    largest_weight: float | None = setting(
        10.0,
        "Limit every class weight to this value, after the exponent; the paper has no limit.",
        above=0,
        before=None,
    )
    monitor: str = setting(
        "mean_iou",
        "Keep the model of the epoch with the best validation score: mean_iou, global_accuracy (as in the paper) or "
        "class_average_accuracy.",
        choices=MONITORS,
        before="global_accuracy",
    )
    augment: bool = setting(True, "Augment training images at random: flip, scale, crop and change colours.")
    scale: tuple[float, float] = setting(
        (0.75, 1.75),
        "Scale augmented images by a random factor from this range: narrow for short runs, wide for long ones.",
    )
    rare_crops: float = setting(
        0.0,
        "Place this share of the augmented crops, from 0 to 1, over a pixel of a class drawn from the image's classes. "
        "Each class is equally likely, so rare classes are seen more often.",
    )
    patience: int | None = setting(
        None,
        "Stop when the monitored score has not improved for this many epochs.",
        unset="train all epochs",
        least=1,
        most=10**6,
    )
    ema_momentum: float | None = setting(
        None,
        "Validate and save an exponential moving average of the weights with this momentum, such as 0.99.",
        unset="no averages",
    )
    recalibrate: bool = setting(
        False,
        "Recompute batch normalisation's statistics over the training set before each validation.",
    )
    precision: str = setting(
        "auto",
        "Compute in mixed_bfloat16 or float32. auto is mixed_bfloat16 on devices with matrix units for it (Nvidia GPUs "
        "from Ampere on, CPUs with AMX), else float32. The model is saved in float32 either way.",
        choices=("auto", "mixed_bfloat16", "float32"),
        before="float32",
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            _refuse_value(each, getattr(self, each.name))
        if min(self.input_size) < 1:
            raise InputError(f"`input_size` must be a height and a width, both at least 1; not {self.input_size}.")
        if not 0 < self.scale[0] <= self.scale[1] <= LARGEST_SCALE:
            raise InputError(
                f"`scale` must be two positive numbers up to {LARGEST_SCALE}, the smaller first; not {self.scale}."
            )
        kinds = self.loss.split("+")
        for kind in kinds:
            refuse_unknown("loss", kind, LOSSES)
        if len(kinds) > 2 or len(set(kinds)) < len(kinds):
            raise InputError(f"`loss` must be one of {', '.join(LOSSES)}, or the sum of two; not {shown(self.loss)}.")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"`label_smoothing` must be at least 0 and below 1, not {self.label_smoothing:g}.")
        if not 0 <= self.rare_crops <= 1:
            raise InputError(f"`rare_crops` must be from 0 to 1, not {self.rare_crops:g}.")
        if self.ema_momentum is not None and not 0 <= self.ema_momentum < 1:
            raise InputError(f"`ema_momentum` must be at least 0 and below 1, not {self.ema_momentum}.")
        if self.weights is not None:
            object.__setattr__(self, "weights", self._starting_weights(self.weights))
        if self.learning_rate is None:
            # Here, so that config.json holds the rate that was used.
            deep_sgd = self.optimizer == "sgd" and not is_of_table_1(self.model)
            object.__setattr__(self, "learning_rate", DEEP_SGD_RATE if deep_sgd else OPTIMIZERS[self.optimizer])

    def _starting_weights(self, weights: str) -> str | None:
        """What the setting means for this network, so that config.json holds what was used."""
        if weights == "auto":
            own = trained_on(self.model) if self.width == 1 and self.preprocessing is None else []
            return own[0] if own else None
        if weights not in WEIGHTS and not weights.endswith(WEIGHT_FILES):
            allowed = f"{', '.join(WEIGHTS)} or the path of an .npz or a .keras file"
            raise InputError(f"`weights` must be {allowed}, not {shown(weights)}{nearest(weights, WEIGHTS)}")
        return None if weights == "none" else weights

    @classmethod
    def of(cls, **given: Any) -> RunConfig:
        """The settings that are given, those of their recipe where they are not, and the defaults elsewhere.

        Raises:
            InputError: there is no such setting, or its value is not allowed.
        """
        for name in given:
            refuse_unknown("settings", name, SETTINGS)
        return cls(**{**settings_of(given.get("recipe"), given.get("model"), given.get("weights")), **given})


SETTINGS: dict[str, Field[Any]] = {each.name: each for each in fields(RunConfig)}
"""The fields of `RunConfig`, by name."""

_TYPES = get_type_hints(RunConfig)


def _refuse_value(each: Field[Any], value: Any) -> None:
    if not is_of_type(value, _TYPES[each.name]):
        raise InputError(f"`{each.name}` must be {each.type}, not {shown(value)}.")
    if value is None:
        return
    if (choices := each.metadata["choices"]) is not None:
        refuse_unknown(each.name, value, choices() if callable(choices) else choices)
    above, least, most = (each.metadata[bound] for bound in ("above", "least", "most"))
    if above is not None and not value > above:
        raise InputError(f"`{each.name}` must be above {above}, not {value:g}.")
    if least is not None and value < least:
        raise InputError(f"`{each.name}` must be at least {least}, not {shown(value)}.")
    if most is not None and value > most:
        raise InputError(f"`{each.name}` must be at most {most}, not {shown(value)}.")


def is_of_type(value: Any, kind: Any) -> bool:
    """Whether a value is of a field's type: a finite number where it is a float, which a whole number may be too."""
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(is_of_type, value, kinds))
    if get_args(kind):
        return any(is_of_type(value, one) for one in get_args(kind))
    if isinstance(value, bool):
        return kind is bool
    if kind is float and isinstance(value, int | float):
        return abs(value) <= sys.float_info.max  # Of a whole number too that no float holds.
    return isinstance(value, kind)


def as_text(value: Any) -> str:
    """A setting's value for people: a size as HEIGHTxWIDTH."""
    if isinstance(value, tuple):
        return ("x" if all(isinstance(one, int) for one in value) else " ").join(map(str, value))
    return "none" if value is None else str(value)


def describe_settings() -> str:
    """A line for each setting: its name, help and default, as the docstring of `keras_segnet.train` lists them."""
    return "\n".join(
        f"        {name}: {each.metadata['help']} Default: {as_text(each.metadata['shown'])}."
        for name, each in SETTINGS.items()
        if name != "data"
    )


def parameters() -> list[inspect.Parameter]:
    """The settings as keyword parameters, for the signature of a function that takes them as `**settings`."""
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=_TYPES[name])
        for name, each in SETTINGS.items()
    ]


def with_settings(parameters: list[inspect.Parameter]) -> Callable[[Function], Function]:
    """Decorator that replaces `**settings` in a function's signature by these parameters, for help and completion."""

    def decorate(function: Function) -> Function:
        own = [
            each
            for each in inspect.signature(function, eval_str=True).parameters.values()
            if each.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        names = {each.name for each in own}
        together = [*own, *(each for each in parameters if each.name not in names)]
        function.__signature__ = inspect.Signature(together)  # type: ignore[attr-defined]
        return function

    return decorate


__all__ = [
    "BALANCINGS",
    "DEEP_SGD_RATE",
    "FITS",
    "LOSSES",
    "MONITORS",
    "NORMALIZATIONS",
    "OPTIMIZERS",
    "SCHEDULES",
    "SETTINGS",
    "WEIGHTS",
    "WEIGHT_FILES",
    "RunConfig",
    "as_text",
    "describe_settings",
    "is_of_type",
    "parameters",
    "setting",
    "with_settings",
]
