"""A training run in a folder: what made it, what came out of it, and how it goes on after a kill.

    config.json            what made the run
    metrics.csv            a row an epoch
    checkpoint.keras       model and optimiser after the last whole epoch; the run goes on from here
    model.keras            the model of the epoch with the best validation global accuracy (the paper's choice)
    tensorboard/           logs, if asked for
    report.md, curves.png, confusion_matrix.png, overlays/    written at the end

Every file is written beside its place and then moved there, so a kill leaves a whole file. The checkpoint is written
last in an epoch and knows how many steps it has behind it, so it alone says where the run stands: rows of metrics.csv
beyond it are dropped, and their epochs are trained again to the same numbers.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from keras_segnet.data import Augmentation, SegmentationDataset, evaluation_batches, training_batches
from keras_segnet.data.dataset import Classes
from keras_segnet.data.pipeline import steps_per_epoch
from keras_segnet.errors import InputError
from keras_segnet.evaluation.metrics import SegmentationScores
from keras_segnet.models import NETWORKS, build
from keras_segnet.models.graph import score_layers
from keras_segnet.training.callbacks import MedianFrequencyBalancing
from keras_segnet.training.losses import WeightedCrossentropy
from keras_segnet.training.optimizers import ConvolutionMuon

WARMUP_EPOCHS = 2

OPTIMIZERS = {"muon": 4e-3, "adamw": 2e-3}
"""Optimisers of a run, and the learning rate of each."""


@dataclass(frozen=True)
class RunConfig:
    """What makes a run; `config.json` holds it.

    Attributes:
        data: "camvid", "streets" or a folder, as `keras_segnet.data.open_dataset` takes it.
        model: registry name of the network.
        width: factor on its channel counts.
        input_size: height and width at which it is trained.
        epochs: passes over the training set.
        batch_size: images a step.
        weights: initial weights: None, "imagenet" or the path of an .npz.
        seed: of initial weights, order, augmentation and dropout.
        optimizer: "muon" (`ConvolutionMuon`; without pretrained weights it takes a deep SegNet a third of the epochs
            that AdamW takes to get signals through the bottleneck) or "adamw".
        learning_rate: highest rate of the schedule: up in a straight line over the first epochs, down along a cosine
            to zero at the end. None, the default, becomes the optimiser's own in `OPTIMIZERS`.
        weight_decay: of the optimiser.
        balancing: definition of median frequency balancing, or "none".
        balancing_exponent: power of its weights.
        augment: whether training images are changed at random, see `keras_segnet.data.Augmentation`.
        scale: range of the factor by which they are scaled then. Narrow ranges suit short runs, wide ones long runs.
    """

    data: str
    model: str = "segnet"
    width: float = 1.0
    input_size: tuple[int, int] = (360, 480)
    epochs: int = 100
    batch_size: int = 4
    weights: str | None = None
    seed: int = 0
    optimizer: str = "muon"
    learning_rate: float | None = None
    weight_decay: float = 4e-3
    balancing: str = "presence"
    balancing_exponent: float = 1.0
    augment: bool = True
    scale: tuple[float, float] = (0.75, 1.75)

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"--optimizer {self.optimizer}: must be {' or '.join(OPTIMIZERS)}.")
        if self.learning_rate is None:
            # Here, so that config.json holds the rate that was used.
            object.__setattr__(self, "learning_rate", OPTIMIZERS[self.optimizer])


class Run:
    """The folder of a run, and where the run stands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_path = folder / "config.json"
        self.metrics_path = folder / "metrics.csv"
        self.checkpoint_path = folder / "checkpoint.keras"
        self.model_path = folder / "model.keras"

    def exists(self) -> bool:
        return self.config_path.is_file()

    def refuse_occupied(self) -> None:
        """Raises an InputError if the folder holds something already."""
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            holds = "holds another run" if self.exists() else "exists and is not an empty folder"
            raise InputError(f"{self.folder} {holds}; choose another --output, or --resume the run that is there.")

    def create(self, config: RunConfig, classes: Classes) -> None:
        """Makes the folder and writes config.json; raises an InputError if it cannot."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            content = {**asdict(config), "classes": asdict(classes)}
            _write_text(self.config_path, json.dumps(content, indent=2) + "\n")
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written to: {error.strerror}.") from error

    def config(self) -> RunConfig:
        """Reads config.json; raises an InputError if it is not one."""
        try:
            content = json.loads(self.config_path.read_text(encoding="utf-8"))
            del content["classes"]
            pairs = {key: tuple(content[key]) for key in ("input_size", "scale")}
            return RunConfig(**{**content, **pairs})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.config_path} is not the config.json of a run: {error}.") from error

    def rows(self) -> list[dict[str, float]]:
        """The rows of metrics.csv."""
        if not self.metrics_path.is_file():
            return []
        with self.metrics_path.open(newline="", encoding="utf-8") as file:
            return [
                {key: int(value) if key == "epoch" else float(value) for key, value in row.items()}
                for row in csv.DictReader(file)
            ]

    def write_rows(self, rows: list[dict[str, float]]) -> None:
        partial = self.metrics_path.with_name("metrics.csv.partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys() if rows else ())
            writer.writeheader()
            writer.writerows(rows)
        os.replace(partial, self.metrics_path)


def train(
    config: RunConfig,
    run: Run,
    training: SegmentationDataset,
    validation: SegmentationDataset,
    callbacks: list[keras.callbacks.Callback],
    announce: Callable[[str], None],
) -> None:
    """Trains a run to its end, from its last checkpoint if it has one.

    Args:
        config: what makes the run.
        run: its folder; made here if it is new.
        training: is trained on; its classes weigh the loss.
        validation: is scored after each epoch.
        callbacks: further Keras callbacks, for showing progress.
        announce: is told in one line what happens.

    Raises:
        InputError: what the configuration asks for cannot be, or the checkpoint cannot be read.
    """
    keras.utils.set_random_seed(config.seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    steps = steps_per_epoch(training, config.batch_size)
    if run.checkpoint_path.is_file():
        model = _load_checkpoint(run.checkpoint_path)
        epoch = int(model.optimizer.iterations.numpy()) // steps
        announce(f"Going on after epoch {epoch} of {config.epochs}.")
    else:
        model = build_for_training(config, training.classes, steps)
        epoch = 0
    augmentation = Augmentation(scale=config.scale) if config.augment else None
    balancing = (
        []
        if config.balancing == "none"
        else [MedianFrequencyBalancing(training, config.balancing, config.balancing_exponent)]
    )
    if not run.exists():
        run.create(config, training.classes)
    rows = [row for row in run.rows() if row["epoch"] <= epoch]
    if epoch >= config.epochs:
        return

    model.fit(
        training_batches(training, config.batch_size, config.input_size, augmentation, config.seed, first_epoch=epoch),
        initial_epoch=epoch,
        epochs=config.epochs,
        validation_data=evaluation_batches(validation, config.batch_size, config.input_size),
        callbacks=[*balancing, _Recorder(run, rows), *callbacks],
        verbose=0,
    )


def tensorboard_callback(run: Run) -> keras.callbacks.Callback:
    """Writes what metrics.csv holds as TensorBoard logs too; an InputError where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard needs TensorBoard: pip install keras-segnet[tensorboard].")
    return keras.callbacks.TensorBoard(run.folder / "tensorboard", write_graph=False)


def build_for_training(config: RunConfig, classes: Classes, steps: int) -> keras.Model:
    """The compiled network of a run.

    Args:
        config: of the run.
        classes: of its data.
        steps: an epoch.

    Raises:
        InputError: the configuration names no network, or one that cannot be built so.
    """
    if config.model not in NETWORKS:
        raise InputError(f"--model {config.model}: there is no such network; there are {', '.join(NETWORKS)}.")
    options: dict[str, Any] = {"width": config.width}
    if config.weights is not None:
        if not NETWORKS[config.model].takes_weights:
            able = ", ".join(name for name, network in NETWORKS.items() if network.takes_weights)
            raise InputError(f"--weights {config.weights}: {config.model} takes no weights; those that do are {able}.")
        options["weights"] = config.weights
    try:
        model = build(config.model, len(classes), (*config.input_size, 3), **options)
    except (ValueError, FileNotFoundError) as error:
        raise InputError(f"{config.model}: {error}") from error
    warmup = min(WARMUP_EPOCHS, config.epochs - 1) * steps
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else config.learning_rate,
        decay_steps=config.epochs * steps - warmup,
        warmup_target=config.learning_rate if warmup else None,
        warmup_steps=warmup,
    )
    optimizer: keras.optimizers.Optimizer
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=config.weight_decay)
    else:
        optimizer = ConvolutionMuon(
            schedule,
            weight_decay=config.weight_decay,
            adam_weight_decay=config.weight_decay,
            adam_lr_ratio=OPTIMIZERS["adamw"] / OPTIMIZERS["muon"],
            # Filters that are classes are better not forced to be equally strong.
            exclude_layers=[f"^{name}/" for name in score_layers(model)],
        )
    model.compile(
        optimizer=optimizer,
        loss=WeightedCrossentropy(len(classes), ignore_class=classes.ignored),
        metrics=[SegmentationScores(len(classes), classes.ignored)],
    )
    return model


def _load_checkpoint(path: Path) -> keras.Model:
    try:
        return keras.models.load_model(path)
    except Exception as error:  # Keras raises errors of many kinds on damaged files.
        raise InputError(f"{path} cannot be read as a checkpoint: {error}") from error


class _Recorder(keras.callbacks.Callback):
    """Writes metrics.csv, model.keras and checkpoint.keras after each epoch, in this order; see the module."""

    def __init__(self, run: Run, rows: list[dict[str, float]]) -> None:
        super().__init__()
        self.run = run
        self.rows = rows

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row = {"epoch": epoch + 1, "learning_rate": float(self.model.optimizer.learning_rate)}
        row |= {key: float(value) for key, value in sorted((logs or {}).items())}
        best_before = max((r["val_global_accuracy"] for r in self.rows), default=-1.0)
        self.rows.append(row)
        self.run.write_rows(self.rows)
        if row["val_global_accuracy"] > best_before:
            _save(self.model, self.run.model_path)
        _save(self.model, self.run.checkpoint_path)


def _save(model: keras.Model, path: Path) -> None:
    partial = path.with_name(f"{path.stem}.partial.keras")
    model.save(partial)
    os.replace(partial, path)


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


__all__ = ["Run", "RunConfig", "build_for_training", "tensorboard_callback", "train"]
