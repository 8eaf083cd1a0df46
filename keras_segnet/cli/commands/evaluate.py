"""`keras-segnet evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.catalogue import refuse_missing_model
from keras_segnet.cli import screen
from keras_segnet.cli.commands.arguments import (
    MODEL_HELP,
    Crf,
    Data,
    FitRule,
    Overlap,
    Split,
    Tile,
    parse_size,
    refuse_missing_folder,
)
from keras_segnet.cli.screen import console, say


def evaluate(
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)],
    data: Data,
    split: Annotated[Split, typer.Option(help="Score this split of the data.")] = Split.test,
    crf: Crf = False,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Average this many passes with dropout on, for .keras files with dropout; the paper has 50."
        ),
    ] = None,
    flip: Annotated[
        bool, typer.Option("--flip", help="Average the predictions for each image and its mirror image.")
    ] = False,
    boundary: Annotated[
        bool,
        typer.Option(
            "--boundary",
            help="Also score boundary F1 (BF), by two definitions: that of the script released with the paper, and "
            "Csurka's.",
        ),
    ] = False,
    fit: FitRule = None,
    tile: Tile = None,
    overlap: Overlap = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the scores to this JSON file.")] = None,
) -> None:
    """Score a model on labelled images, at the labels' own resolution.

    Example: `keras-segnet evaluate runs/first/model.keras --data my_images --split test --json scores.json`

    Bayesian SegNet, with dropout: `keras-segnet evaluate MODEL --data my_images --samples 50`

    The figures of the paper's tables: `keras-segnet evaluate runs/first/model.keras --data camvid --boundary`
    """
    refuse_missing_model(model)

    import keras_segnet

    if json_file is not None:
        refuse_missing_folder(json_file)
    found = keras_segnet.evaluate(
        model,
        data,
        split.value,
        boundary=boundary,
        samples=samples,
        flip=flip,
        crf=crf,
        fit=fit,
        tile=None if tile is None else parse_size(tile, "tile"),
        overlap=overlap,
        display=screen.Screen(),
    )
    console.print(screen.scores_table(found.title, found.rows()))
    if boundary:
        say(found.one_line())
    if json_file is not None:
        found.save(json_file)
        say(f"The scores are in {json_file}.")
