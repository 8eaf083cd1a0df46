"""A whole training: checks the data, trains in a folder, and reports. `keras-segnet train` calls it too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras

from keras_segnet import _compat
from keras_segnet.catalogue import trained_on
from keras_segnet.data import SegmentationDataset, available_splits, count_classes, open_dataset
from keras_segnet.data.open import absolute
from keras_segnet.data.pipeline import steps_per_epoch
from keras_segnet.errors import InputError
from keras_segnet.evaluation.evaluate import Evaluation, evaluate
from keras_segnet.evaluation.report import write_report
from keras_segnet.inference.segmenters import load_keras_model, load_segmenter
from keras_segnet.progress import Display, Printed
from keras_segnet.training.configuration import (
    WEIGHT_FILES,
    RunConfig,
    as_text,
    describe_settings,
    parameters,
    with_settings,
)
from keras_segnet.training.devices import Share, current_share, place
from keras_segnet.training.precision import choose_precision
from keras_segnet.training.progress import TrainingProgress
from keras_segnet.training.run import Run, fit, tensorboard_callback


@dataclass(frozen=True, kw_only=True)
class TrainedRun(Evaluation):
    """A finished training run, with its model's validation scores at the labels' own resolution.

    Attributes:
        folder: config.json, metrics.csv, model.keras, report.md and pictures.
    """

    folder: Path

    def model(self) -> keras.Model:
        """The trained network, of the epoch with the best validation score, not compiled."""
        return load_keras_model(Run(self.folder).model_path)

    @property
    def history(self) -> list[dict[str, float]]:
        """The rows of metrics.csv: a row an epoch."""
        return Run(self.folder).rows()


@with_settings(parameters())
@_compat.deterministic_ops()
def train(
    data: str | Path | Mapping[str, SegmentationDataset] | None = None,
    *,
    output: str | Path,
    resume: bool = False,
    tensorboard: bool = False,
    devices: str | None = None,
    coordinator: str | None = None,
    processes: int = 1,
    process: int = 0,
    display: Display | None = None,
    **settings: Any,
) -> TrainedRun | None:
    given = {name: _portable(name, value) for name, value in settings.items()}
    if isinstance(data, str | Path):
        given["data"] = absolute(str(data))
    display = display or Printed()
    run = Run(Path(output))
    resumed = resume and run.exists()
    config = RunConfig.of(**given)
    if resumed:
        run.refuse_other_settings(given)
        before = run.config()
        config = replace(before, epochs=max(before.epochs, given.get("epochs", 0)))
    at = place(devices, coordinator, processes, process)
    datasets = _datasets(data if isinstance(data, Mapping) else config.data, run, resume)
    if not resumed:
        run.refuse_occupied()
        if resume:
            display.say(f"There is no run in {run.folder} yet; starting it.")
    # The test images take no part in training, but better to hear of their faults now than at the end.
    for dataset in datasets.values():
        count_classes(dataset, display)
    training, validation = datasets["train"], datasets["val"]
    logs = [tensorboard_callback(run)] if tensorboard else []
    share = Share()
    with at:
        share = current_share()
        # What a process says that is not the first would stand on the screen, or in the log, of the first.
        display = display if share.writes else Display()
        display.say(
            f"Training {config.model} (width {config.width:g}, {as_text(config.input_size)}, {len(training.classes)} "
            f"classes) on {len(training)} images, validating on {len(validation)}."
        )
        if not run.checkpoint_path.is_file():
            display.say(_start(config))
        if config.precision == "auto":
            # Here, so that config.json holds the precision that was used, and a resumed run keeps it.
            precision, why = choose_precision()
            config = replace(config, precision=precision)
            display.say(f"Computing in {precision}: {why}.")
        progress = TrainingProgress(display, config.epochs, steps_per_epoch(training, config.batch_size))
        try:
            fit(config, run, training, validation, progress, logs if share.writes else [])
        finally:
            progress.close()
            run.unlock()
    if not share.writes:
        return None
    return report(run, config, training, validation, display)


train.__doc__ = f"""Trains a network on labelled images, in a folder that is also a report.

    >>> run = keras_segnet.train("my_images", epochs=80, output="runs/first")  # doctest: +SKIP
    >>> run.scores.mean_iou, run.model()  # doctest: +SKIP

    Does all that `keras-segnet train` does, to the same weights bit for bit: checks every image and label, trains with
    validation after each epoch, keeps the epoch with the best validation score, and writes a report with pictures. A
    run that was stopped continues to the same numbers with `resume=True`.

    Args:
        data: a folder or a name, as `keras_segnet.data.open_dataset` accepts it; or data sets by split, of which
            "train" and "val" are needed: `{{"train": training, "val": validation}}`. A run of a folder that is resumed
            needs none.
        output: folder of the run; new or empty, unless `resume` is given.
        resume: whether to continue the run in `output` after its last whole epoch, if there is one. Settings that are
            given must be those of the run, but for more `epochs`: then the learning rate goes on along the schedule of
            that many.
        tensorboard: whether to write logs for TensorBoard too.
        devices: train on several devices of this machine: "all", or how many (TensorFlow).
        coordinator: train on several machines: `HOST:PORT` where process 0 listens (JAX).
        processes: with `coordinator`, how many processes train together.
        process: with `coordinator`, which one this is, from 0.
        display: where lines and bars are shown. Default: printed, with bars in Jupyter and in terminals.
        **settings:
{describe_settings()}

    Returns:
        What came out, shown as a table in Jupyter. None in processes that are not the first.

    Raises:
        InputError: data, settings or `output` are not as they must be; nothing has been written then. Or the loss is no
            number any more, or a file cannot be written.
        ProcessLostError: of several processes, one has ended.
    """


def _start(config: RunConfig) -> str:
    """What a line says of the weights that a new run starts from."""
    if config.weights is None:
        fits = trained_on(config.model)
        own = f"; those on {fits[0]} are for width 1 and the network's own preprocessing" if fits else ""
        return f"Starting from random weights{own}."
    if config.weights in trained_on(config.model):
        return (
            f"Starting from weights trained on {config.weights}, which are for research only (docs/weights/"
            f"{config.model}_{config.weights}.md); weights none starts from random ones."
        )
    return f"Starting from the weights {config.weights}."


def _portable(name: str, value: Any) -> Any:
    """A setting as config.json holds it, so that a run can continue from another working directory."""
    if name == "weights" and value is not None:
        path = Path(value)
        return str(path.resolve()) if path.suffix in WEIGHT_FILES else None if value == "none" else value
    return tuple(value) if isinstance(value, list) else value


def _datasets(
    data: str | Mapping[str, SegmentationDataset] | None, run: Run, resume: bool
) -> Mapping[str, SegmentationDataset]:
    if data is None:
        if run.exists():
            raise InputError(
                f"the run in {run.folder} was begun with data sets from Python; give them again, as `data`."
            )
        why = (
            f"there is no run in {run.folder} to resume, and a new one needs `data`" if resume else "`data` is missing"
        )
        raise InputError(f"{why}: a folder, 'camvid' or 'streets'.")
    if isinstance(data, str):
        splits = dict.fromkeys(("train", "val", *available_splits(data)))
        return {split: open_dataset(data, split) for split in splits}
    for split in ("train", "val"):
        if split not in data:
            raise InputError(f"`data` must have the data sets 'train' and 'val'; it has {', '.join(data) or 'none'}.")
    return data


def report(
    run: Run, config: RunConfig, training: SegmentationDataset, validation: SegmentationDataset, display: Display
) -> TrainedRun:
    """Scores the run's model on the validation images, and writes report.md and its pictures."""
    segmenter = load_segmenter(run.model_path)
    evaluation = evaluate(segmenter, validation, display=display)
    settings: dict[str, object] = {name: as_text(value) for name, value in asdict(config).items()}
    title, matrix = f"{config.model} on {training.name}", evaluation.matrix
    write_report(run.folder, title, settings, run.rows(), matrix, segmenter, validation, config.monitor)
    return TrainedRun(**vars(evaluation), folder=run.folder)


__all__ = ["TrainedRun", "train"]
