"""`keras-segnet train`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_segnet.cli.commands.arguments import as_option, chosen, fail_at_once
from keras_segnet.cli.screen import Screen, console, say, scores_table
from keras_segnet.training.configuration import SETTINGS, RunConfig, as_text, parameters, with_settings


def _option(setting: inspect.Parameter) -> inspect.Parameter:
    metadata = SETTINGS[setting.name].metadata
    return as_option(setting.name, setting.annotation, f"{metadata['help']}  [default: {as_text(metadata['shown'])}]")


@with_settings([_option(setting) for setting in parameters()])
def train(
    output: Annotated[
        Path, typer.Option(help="Write the run into this folder; it must be new unless --resume is given.")
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in --output after an interruption.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Also write logs for TensorBoard (pip install keras-segnet[tensorboard])."),
    ] = False,
    devices: Annotated[
        str | None,
        typer.Option(help="Train on this many devices of this machine, or on 'all'; needs the TensorFlow backend."),
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Train on several machines; process 0 listens at this address. Needs the JAX backend.",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Train in this many processes together, with --coordinator.")
    ] = 1,
    process: Annotated[int, typer.Option(min=0, help="Run as this one of the --processes, counted from 0.")] = 0,
    **settings: Any,
) -> None:
    """Train a network on labelled images.

    Writes into the folder of the run: model.keras (of the epoch with the best validation score), report.md, overlays,
    figures, metrics.csv and config.json.

    Example: `keras-segnet train --data my_images --model segnet_edge --weights camvid --epochs 50 --output runs/first`

    The paper's Table 1: `keras-segnet train --recipe paper --model segnet_basic --data camvid --output runs/table1`

    After an interruption: `keras-segnet train --resume --output runs/first`

    On several devices or machines: see docs/many_devices.md.
    """
    given = chosen(settings)
    RunConfig.of(**given)  # What cannot be right is refused before anything is imported.

    from keras_segnet.training.devices import ProcessLostError
    from keras_segnet.training.train import train as train_run

    try:
        run = train_run(
            given.pop("data", None),
            output=output,
            resume=resume,
            tensorboard=tensorboard,
            devices=devices,
            coordinator=coordinator,
            processes=processes,
            process=process,
            display=Screen(),
            **given,
        )
    except KeyboardInterrupt:
        line = f"stopped. Continue with: keras-segnet train --resume --output {output}"
        if (best := output / "model.keras").is_file():
            line += f"; score what there is with: keras-segnet evaluate {best} --split val --data DATA"
        fail_at_once(line, 130)
    except ProcessLostError as error:
        fail_at_once(f"{error} Start all again with --resume: the run continues after its last whole epoch.", 1)
    if run is not None:
        console.print(scores_table(run.title, run.rows()))
        say(f"The run is in {output}; its report is {output / 'report.md'}, its model {output / 'model.keras'}.")
