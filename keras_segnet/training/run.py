"""A training run in a folder: what made it, what came out of it, and how it goes on after a kill.

    config.json            what made the run
    metrics.csv            a row an epoch
    checkpoint.keras       model and optimiser after the last whole epoch; the run goes on from here
    model.keras            the model of the epoch with the best validation score (`monitor`)
    tensorboard/           logs, if asked for
    report.md, curves.png, confusion_matrix.png, overlays/    written at the end

Every file is written beside its place and then moved there, so a kill or a full disk leaves a whole one. The checkpoint
is written last in an epoch and knows how many steps it has behind it, so it alone says where the run stands: rows of
metrics.csv beyond it are dropped, and their epochs are trained again to the same numbers. A run whose loss is no number
any more stops before it writes anything of that epoch.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from filelock import FileLock, Timeout

from keras_segnet._compat import batches_seen
from keras_segnet.callbacks import (
    BatchNormRecalibration,
    MedianFrequencyBalancing,
    WeightAveraging,
    averaged_weights,
)
from keras_segnet.data import Augmentation, SegmentationDataset, count_classes, evaluation_batches
from keras_segnet.data.dataset import Classes
from keras_segnet.data.geometry import Fit
from keras_segnet.data.pipeline import EpochBatches, for_keras, names_in_batch, steps_per_epoch, training_epochs
from keras_segnet.errors import InputError
from keras_segnet.files import PARTIAL, first_line, read_json, read_text, reading, whole_file, write_text
from keras_segnet.losses import weighted_parts
from keras_segnet.models.trained import refuse_hostile_archive
from keras_segnet.training.configuration import MONITORS, SETTINGS, RunConfig, as_text
from keras_segnet.training.devices import current_share, synchronize, undistributed, unsynchronized
from keras_segnet.training.interruption import Interruption
from keras_segnet.training.network import build_for_training, build_network, set_schedule
from keras_segnet.training.progress import TrainingProgress

LOCK = ".lock"
"""File in a run's folder that a training process has locked. A kill leaves the file behind, but not the lock."""


class Run:
    """The folder of a run, and where the run stands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_path = folder / "config.json"
        self.metrics_path = folder / "metrics.csv"
        self.checkpoint_path = folder / "checkpoint.keras"
        self.model_path = folder / "model.keras"
        self._lock = FileLock(folder / LOCK, blocking=False)

    def lock(self) -> None:
        """Makes the folder, and sees to it that no other process trains in it until `unlock` or this process's end.

        Raises:
            InputError: another one does, or the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"another process is training in {self.folder}; wait for it, or choose another `output`."
            ) from None
        except OSError as error:
            raise InputError(f"{self.folder} cannot be written to: {error.strerror}.") from error

    def unlock(self) -> None:
        """Lets other processes train in the folder."""
        self._lock.release()

    def exists(self) -> bool:
        return self.config_path.is_file()

    def refuse_occupied(self) -> None:
        """Raises an InputError if the folder holds something already."""
        leftovers = self.folder.is_dir() and all(
            PARTIAL in file.name or file.name == LOCK for file in self.folder.iterdir()
        )
        if self.folder.exists() and not leftovers:
            holds = "holds another run" if self.exists() else "exists and is not an empty folder"
            raise InputError(f"{self.folder} {holds}; choose another `output`, or `resume` the run that is there.")

    def write_config(self, config: RunConfig, training: SegmentationDataset, validation: SegmentationDataset) -> None:
        """Writes config.json: the settings, and what tells the data from others."""
        content = {
            **asdict(config),
            "classes": asdict(training.classes),
            "training_images": len(training),
            "digests": {"train": count_classes(training).digest, "val": count_classes(validation).digest},
        }
        write_text(self.config_path, json.dumps(content, indent=2) + "\n")

    def refuse_other_data(self, training: SegmentationDataset, validation: SegmentationDataset) -> None:
        """Raises an InputError if the run began on other data: what is left to train would not be the same run."""
        content = self._content()
        same = "; continue with the same data, or choose another `output`."
        images = content.get("training_images", len(training))
        if images != len(training):
            raise InputError(
                f"{training.name} has {len(training)} images, and {self.folder} was begun with {images}{same}"
            )
        own = list(training.classes.names)
        names = content.get("classes", {}).get("names", own)
        if names != own:
            raise InputError(
                f"{training.name} has the classes {', '.join(own)}, and {self.folder} was begun with "
                f"{', '.join(map(str, names))}{same}"
            )
        for split, dataset in (("train", training), ("val", validation)):
            digest = count_classes(dataset).digest
            if content.get("digests", {}).get(split, digest) != digest:
                raise InputError(
                    f"{dataset.name} has other images, labels or another order than when {self.folder} was begun{same}"
                )

    def config(self) -> RunConfig:
        """Reads config.json; raises an InputError if it is not one."""
        content = self._content()
        for what_else in ("classes", "training_images", "digests"):
            content.pop(what_else, None)
        for name in content:
            if name not in SETTINGS:
                raise InputError(f"{self.config_path} is not the config.json of a run: {name:.60} is no setting.")
        if "data" not in content:
            raise InputError(f"{self.config_path} is not the config.json of a run: there is no data in it.")
        values: dict[str, Any] = {name: each.metadata["before"] for name, each in SETTINGS.items()}
        values |= {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
        try:
            return RunConfig(**values)
        except InputError as error:
            raise InputError(f"{self.config_path} is not the config.json of a run: {first_line(error)}") from error

    def refuse_other_settings(self, given: dict[str, Any]) -> None:
        """Raises an InputError if a setting is given that differs from the run's."""
        config = self.config()
        for name, value in given.items():
            if name == "epochs" and value > config.epochs:
                continue  # A run can be given more.
            # What auto meant when the run began is in config.json.
            if value not in (getattr(config, name), "auto"):
                raise InputError(
                    f"`{name}` {as_text(value)} differs from the run in {self.folder}, which has "
                    f"{as_text(getattr(config, name))}; leave it out to continue, or choose another `output`."
                )

    def _content(self) -> dict[str, Any]:
        content = read_json(self.config_path, "the config.json of a run")
        if not isinstance(content, dict):
            raise InputError(f"{self.config_path} is not the config.json of a run: it holds no settings.")
        return content

    def rows(self) -> list[dict[str, float]]:
        """The rows of metrics.csv; raises an InputError if it is not such a table."""
        if not self.metrics_path.is_file():
            return []
        lines = read_text(self.metrics_path, "the metrics.csv of a run").splitlines()
        with reading(self.metrics_path, "is not the metrics.csv of a run"):
            rows = [
                {key: int(value) if key == "epoch" else float(value) for key, value in row.items()}
                for row in csv.DictReader(lines, strict=True)
            ]
        for row in rows:
            if not {"epoch", *(f"val_{name}" for name in MONITORS)} <= set(row):
                raise InputError(f"{self.metrics_path} is not the metrics.csv of a run: columns are missing.")
        return rows

    def write_rows(self, rows: list[dict[str, float]]) -> None:
        with whole_file(self.metrics_path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0].keys() if rows else ())
            writer.writeheader()
            writer.writerows(rows)


def fit(
    config: RunConfig,
    run: Run,
    training: SegmentationDataset,
    validation: SegmentationDataset,
    progress: TrainingProgress,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Trains a run to its end, from its last checkpoint if it has one.

    Args:
        config: what makes the run.
        run: its folder; made here if it is new.
        training: is trained on; its classes weigh the loss.
        validation: is scored after each epoch.
        progress: shows what happens.
        callbacks: further Keras callbacks.

    Raises:
        InputError: what the configuration asks for cannot be; the checkpoint cannot be read; the training set is
            another than that the run began on; a file cannot be written; or the loss is no number any more.
        KeyboardInterrupt: after the step in which Ctrl-C was pressed, see `Interruption`.
    """
    keras.utils.set_random_seed(config.seed)
    steps = steps_per_epoch(training, config.batch_size)
    share = current_share()
    if config.recalibrate and share.devices > 1:
        raise InputError("`recalibrate` is for one device; train without it, or on one.")
    if config.batch_size % share.devices:
        raise InputError(f"`batch_size` {config.batch_size} must be a multiple of the {share.devices} devices.")
    if run.exists():
        if share.writes:
            run.lock()
        run.refuse_other_data(training, validation)
    if run.checkpoint_path.is_file():
        model = _load_checkpoint(run.checkpoint_path)
        epoch = batches_seen(model.optimizer) // steps
        progress.display.say(f"Continuing after epoch {epoch} of {config.epochs}.")
        set_schedule(config, model, steps)
        if config.epochs > (before := run.config().epochs):
            progress.display.say(
                f"The run had {before} epochs. From here on, the learning rate is that of a run of {config.epochs}: "
                f"{float(model.optimizer.learning_rate):.2g} at first."
            )
    else:
        model = build_for_training(config, training.classes, steps)
        epoch = 0
    augmentation = Augmentation(scale=config.scale, rare=config.rare_crops) if config.augment else None
    interruption = Interruption()
    fitting = Fit(config.fit, config.image_scale)
    changes: list[keras.callbacks.Callback] = []
    if config.balancing not in ("none", "released") and weighted_parts(model.loss):
        changes.append(
            MedianFrequencyBalancing(
                training, config.balancing, config.balancing_exponent, largest=config.largest_weight
            )
        )
    if config.ema_momentum is not None:
        changes.append(WeightAveraging())
    if config.recalibrate:
        passes = interruption.between(progress.progress)
        changes.append(BatchNormRecalibration(training, config.batch_size, config.input_size, passes, fitting))
    if share.writes:
        if not run.exists():
            run.lock()
            run.refuse_occupied()  # Another process may have trained here since it was looked at first.
        run.write_config(config, training, validation)
    rows = [row for row in run.rows() if row["epoch"] <= epoch]
    if epoch >= config.epochs:
        return
    if _has_waited(rows, config):
        progress.display.say(f"The best epoch is {config.patience} epochs ago; the run has stopped for good.")
        return

    synchronize(model)
    part = (share.process, share.processes)
    epochs = training_epochs(
        training, config.batch_size, config.input_size, augmentation, config.seed, epoch, part=part, fit=fitting
    )
    with interruption:
        model.fit(
            for_keras(epochs, steps, config.input_size),
            initial_epoch=epoch,
            epochs=config.epochs,
            validation_data=evaluation_batches(
                validation, config.batch_size, config.input_size, part=part, multiple=share.devices, fit=fitting
            ),
            callbacks=[
                *changes,
                _Epochs(epochs, config.seed),
                _FiniteLoss(config, run, training),
                _Recorder(run, rows, config, training.classes, share.writes),
                progress,
                *callbacks,
                interruption,
            ],
            verbose=0,
        )


def tensorboard_callback(run: Run) -> keras.callbacks.Callback:
    """Writes what metrics.csv holds as TensorBoard logs too; an InputError where TensorBoard is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError("`tensorboard` needs TensorBoard: pip install keras-segnet[tensorboard].")
    return keras.callbacks.TensorBoard(run.folder / "tensorboard", write_graph=False)


def _load_checkpoint(path: Path) -> keras.Model:
    with reading(path, "cannot be read as a checkpoint"):
        refuse_hostile_archive(path)
        model = keras.models.load_model(path)
    if getattr(model, "optimizer", None) is None:
        raise InputError(f"{path} cannot be read as a checkpoint: it has no optimiser to continue with.")
    return model


class _Epochs(keras.callbacks.Callback):
    """Says to the data which epoch comes, and seeds dropout and its like for it, which a .keras file does not keep."""

    def __init__(self, epochs: EpochBatches, seed: int) -> None:
        super().__init__()
        self.epochs = epochs
        self.seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epochs.start_at(epoch)
        states = [v for v in self.model.non_trainable_variables if v.path.endswith("seed_generator_state")]
        for number, state in enumerate(states):
            drawn = np.random.SeedSequence([self.seed, epoch, number]).generate_state(math.prod(state.shape))
            state.assign((drawn >> 1).reshape(state.shape))  # 31 bits fit into the integers of every backend.


class _FiniteLoss(keras.callbacks.Callback):
    """Stops at the first batch after which the loss is no number, before anything is written of that epoch."""

    def __init__(self, config: RunConfig, run: Run, training: SegmentationDataset) -> None:
        super().__init__()
        self.config = config
        self.run = run
        self.training = training
        self.steps = steps_per_epoch(training, config.batch_size)
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            step = self.epoch * self.steps + batch
            names = names_in_batch(self.training, self.config.batch_size, self.config.seed, step)
            self._stop(f"the loss is {loss} at step {batch + 1} of {self.steps}, images {', '.join(names)}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {}).get("val_loss", 0.0))
        if not math.isfinite(loss):
            self._stop(f"the loss of the validation images is {loss}")

    def _stop(self, what: str) -> None:
        kept = f"{self.run.checkpoint_path} holds epoch {self.epoch}" if self.epoch else "there is no checkpoint yet"
        raise InputError(
            f"stopped in epoch {self.epoch + 1}: {what}; {kept}. Start anew with a `learning_rate` below "
            f"{self.config.learning_rate:g}."
        )


class _Recorder(keras.callbacks.Callback):
    """Writes metrics.csv, model.keras and checkpoint.keras after each epoch, in this order; see the module.

    Of several processes one writes; all take the averages of the weights, see `averaged_weights`.
    """

    def __init__(
        self, run: Run, rows: list[dict[str, float]], config: RunConfig, classes: Classes, writes: bool
    ) -> None:
        super().__init__()
        self.run = run
        self.rows = rows
        self.config = config
        self.classes = classes
        self.writes = writes

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        row = {"epoch": epoch + 1, "learning_rate": float(self.model.optimizer.learning_rate)}
        row |= {key: float(value) for key, value in sorted((logs or {}).items())}
        monitor = f"val_{self.config.monitor}"
        best_before = max((r[monitor] for r in self.rows), default=-1.0)
        self.rows.append(row)
        if self.writes:
            self.run.write_rows(self.rows)
        if row[monitor] > best_before:
            with averaged_weights(self.model):
                if self.writes:
                    _save(self._in_float32(), self.run.model_path)
        if self.writes:
            _save(self.model, self.run.checkpoint_path)
        if _has_waited(self.rows, self.config):
            self.model.stop_training = True

    def _in_float32(self) -> keras.Model:
        if self.config.precision == "float32":
            return self.model
        with undistributed():
            model = build_network(replace(self.config, precision="float32", weights=None), self.classes)
            model.set_weights(self.model.get_weights())
        return model


def _has_waited(rows: list[dict[str, float]], config: RunConfig) -> bool:
    """Whether the best epoch is as far back as the run is to wait for a better one."""
    if config.patience is None or not rows:
        return False
    scores = [row[f"val_{config.monitor}"] for row in rows]
    return len(scores) - 1 - scores.index(max(scores)) >= config.patience


def _save(model: keras.Model, path: Path) -> None:
    # Keras makes variables when it saves.
    with whole_file(path) as partial, unsynchronized(model), undistributed():
        model.save(partial)


__all__ = ["Run", "fit", "tensorboard_callback"]
