"""`keras-segnet train`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_segnet.cli import screen
from keras_segnet.cli.commands.arguments import DATA_HELP, absolute, absolute_data, fail, fail_at_once, parse_size
from keras_segnet.cli.screen import console, say

if TYPE_CHECKING:
    from keras_segnet.data import SegmentationDataset
    from keras_segnet.training.run import Run, RunConfig


def train(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder of the run; must be new, unless --resume is given.")],
    data: Annotated[
        str | None,
        typer.Option(help=DATA_HELP),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="Settings to start from: 'paper' (Table 1), or 'modern' (the defaults, and averaged weights). Options "
            "that are given override it."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="Network; keras-segnet models lists them.")] = "segnet",
    width: Annotated[float, typer.Option(help="Factor on the channels of every layer.")] = 1.0,
    input_size: Annotated[str, typer.Option(metavar="HEIGHTxWIDTH", help="Size at which to train.")] = "360x480",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training set.")] = 100,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.")] = 4,
    weights: Annotated[
        str | None,
        typer.Option(
            help="What to start from: 'imagenet' or an .npz of VGG16's convolutions for the encoder, 'camvid' for "
            "segnet_edge and segnet_basic, or a .keras file of the same network."
        ),
    ] = None,
    preprocessing: Annotated[
        str | None,
        typer.Option(
            help="What the network does to colours: imagenet (mean and deviation), lrn (released SegNet-Basic), lcn "
            "(the paper) or none (released SegNet).  [default: the network's own]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    optimizer: Annotated[str, typer.Option(help="muon, adamw or sgd.")] = "muon",
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Highest rate.  [default: 4e-3 for muon, 2e-3 for adamw; for sgd 0.1, and 1e-3 with deep networks]"
        ),
    ] = None,
    schedule: Annotated[
        str, typer.Option(help="Of the rate: cosine (up at first, down along a cosine) or constant.")
    ] = "cosine",
    weight_decay: Annotated[float, typer.Option(help="Of the optimiser; 5e-4 in the released code.")] = 4e-3,
    loss_normalization: Annotated[
        str,
        typer.Option(
            help="What the loss over pixels is divided by: valid_pixels (their number, the released code), weights "
            "(the sum of their weights) or sum (nothing, the paper)."
        ),
    ] = "valid_pixels",
    balancing: Annotated[
        str,
        typer.Option(
            help="Median frequency balancing: presence (the paper), presence_with_ignored, global, released (the "
            "constants of the released code, for CamVid), or none."
        ),
    ] = "presence",
    balancing_exponent: Annotated[
        float, typer.Option(help="Power of its weights: 1 as in the paper, 0.5 for less, 0 for none.")
    ] = 1.0,
    augment: Annotated[bool, typer.Option(help="Change training images at random: flip, scale, crop, colour.")] = True,
    scale: Annotated[
        tuple[float, float], typer.Option(help="Range of random scaling: narrow for short runs, wide for long ones.")
    ] = (0.75, 1.75),
    ema_momentum: Annotated[
        float | None,
        typer.Option(
            help="Validate and save averages of the weights, which keep so much of themselves at each step: 0.99."
        ),
    ] = None,
    recalibrate: Annotated[
        bool,
        typer.Option(
            help="Before each validation, take the statistics of batch normalisation from a pass over the training set."
        ),
    ] = False,
    precision: Annotated[
        str, typer.Option(help="float32, or mixed_bfloat16, which some devices compute faster.")
    ] = "float32",
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write logs for TensorBoard too (pip install keras-segnet[tensorboard])."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output after a kill.")] = False,
    devices: Annotated[
        str | None, typer.Option(help="Train on several devices of this machine: 'all', or how many (TensorFlow).")
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Train on several machines: where process 0 listens (JAX)."),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="With --coordinator: how many processes train together.")] = 1,
    process: Annotated[int, typer.Option(min=0, help="With --coordinator: which one this is, from 0.")] = 0,
) -> None:
    """Train a network on labelled images.

    Writes config.json, metrics.csv, model.keras (the epoch with the best validation global accuracy), report.md,
    overlays and figures into the folder of the run.

    Example: `keras-segnet train --data my_images --width 0.25 --input-size 180x240 --epochs 50 --output runs/first`

    The paper's Table 1: `keras-segnet train --recipe paper --model segnet_basic --data camvid --output runs/table1`

    After a kill: `keras-segnet train --resume --output runs/first`

    On several devices or machines: see docs/many_devices.md.
    """
    from keras_segnet.training.recipes import settings_of
    from keras_segnet.training.run import Run, RunConfig

    run = Run(output)
    given = {
        "data": data and absolute_data(data),
        "recipe": recipe,
        "model": model,
        "width": width,
        "input_size": parse_size(input_size),
        "epochs": epochs,
        "batch_size": batch_size,
        "weights": weights and absolute(weights, but_for=("imagenet", "camvid")),
        "preprocessing": preprocessing,
        "seed": seed,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "weight_decay": weight_decay,
        "loss_normalization": loss_normalization,
        "balancing": balancing,
        "balancing_exponent": balancing_exponent,
        "augment": augment,
        "scale": scale,
        "ema_momentum": ema_momentum,
        "recalibrate": recalibrate,
        "precision": precision,
    }
    on_the_command_line = {name: value for name, value in given.items() if _is_on_the_command_line(context, name)}
    if resume and run.exists():
        config = run.config()
        _refuse_other_settings(on_the_command_line, config, output)
    elif data is None:
        why = f"there is no run in {output} to resume, and a new one needs --data" if resume else "--data is missing"
        fail(f"{why}: a folder, 'camvid' or 'streets'.", 2)
    else:
        settings = {**given, **settings_of(recipe, model, weights), **on_the_command_line}
        config = RunConfig(**settings)
        if resume:
            say(f"There is no run in {output} yet; starting it.")
    train_and_report(
        config,
        run,
        fresh=not (resume and run.exists()),
        tensorboard=tensorboard,
        place=_place(devices, coordinator, processes, process),
    )


def _place(
    devices: str | None, coordinator: str | None, processes: int, process: int
) -> contextlib.AbstractContextManager[None]:
    from keras_segnet.errors import InputError
    from keras_segnet.training.devices import joined, mirrored

    if coordinator is None and (processes, process) != (1, 0):
        raise InputError("--processes and --process need --coordinator, where process 0 listens.")
    if coordinator is not None:
        if devices is not None:
            raise InputError("--devices is for one machine; with --coordinator, all devices of each are used.")
        return joined(coordinator, processes, process)
    return contextlib.nullcontext() if devices is None else mirrored(devices)


def _is_on_the_command_line(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _refuse_other_settings(on_the_command_line: dict[str, Any], config: RunConfig, output: Path) -> None:
    from keras_segnet.errors import InputError

    for name, value in on_the_command_line.items():
        if value != getattr(config, name):
            raise InputError(
                f"--{name.replace('_', '-')} {value} differs from the run in {output}, which has "
                f"{getattr(config, name)}; leave it out to go on, or choose another --output."
            )


def train_and_report(
    config: RunConfig,
    run: Run,
    fresh: bool,
    tensorboard: bool = False,
    place: contextlib.AbstractContextManager[None] | None = None,
) -> None:
    """Checks the data, trains at a place of `keras_segnet.training.devices`, and writes the report.

    Of several processes one alone writes, and says what happens.
    """
    from keras_segnet.cli.training_progress import TrainingProgress
    from keras_segnet.data import available_splits, count_classes, open_dataset
    from keras_segnet.training.devices import ProcessLostError, Share, current_share
    from keras_segnet.training.run import tensorboard_callback, train

    if fresh:
        run.refuse_occupied()
    # The test images take no part in training, but better to hear of their faults now than at the end.
    splits = dict.fromkeys(("train", "val", *available_splits(config.data)))
    datasets = {split: open_dataset(config.data, split) for split in splits}
    for dataset in datasets.values():
        count_classes(dataset, screen.progress)
    training, validation = datasets["train"], datasets["val"]
    height, width = config.input_size
    logs = [tensorboard_callback(run)] if tensorboard else []
    shown = TrainingProgress(config.epochs, -(-len(training) // config.batch_size))
    share = Share()
    try:
        with place or contextlib.nullcontext():
            share = current_share()
            announce = say if share.writes else _say_nothing
            announce(
                f"Training {config.model} (width {config.width:g}, {height}x{width}, {len(training.classes)} classes) "
                f"on {len(training)} images, validating on {len(validation)}."
            )
            train(config, run, training, validation, [shown, *logs] if share.writes else [], announce, shown.progress)
        shown.close()
        if share.writes:
            report(config, run, training, validation)
    except KeyboardInterrupt:
        fail(f"stopped. Go on with: keras-segnet train --resume --output {run.folder}", 130)
    except ProcessLostError as error:
        shown.close()
        fail_at_once(f"{error} Start all again with --resume: the run goes on after its last whole epoch.", 1)
    finally:
        shown.close()
    if share.writes:
        say(f"The run is in {run.folder}; its report is {run.folder / 'report.md'}, its model {run.model_path}.")


def _say_nothing(line: str) -> None:
    """What a process says that shares its screen, or its log, with process 0."""


def report(config: RunConfig, run: Run, training: SegmentationDataset, validation: SegmentationDataset) -> None:
    """Scores the run's model on the validation images, and writes and shows the report."""
    from dataclasses import asdict

    from keras_segnet.evaluation.evaluate import evaluate as evaluate_segmenter
    from keras_segnet.evaluation.evaluate import table_rows
    from keras_segnet.evaluation.report import write_report
    from keras_segnet.inference import load_segmenter

    segmenter = load_segmenter(run.model_path)
    matrix = evaluate_segmenter(segmenter, validation, screen.progress)
    settings = {**asdict(config), "input_size": "x".join(map(str, config.input_size))}
    title = f"{config.model} on {training.name}"
    write_report(run.folder, title, settings, run.rows(), matrix, segmenter, validation)
    console.print(screen.scores_table(f"Scores on {validation.name}", table_rows(matrix.scores(), validation.classes)))
