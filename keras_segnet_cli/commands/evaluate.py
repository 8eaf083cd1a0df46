"""`keras-segnet evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from keras_segnet_cli import screen
from keras_segnet_cli.commands.arguments import Crf, Data, Split, refuse_missing_folder
from keras_segnet_cli.screen import console, say


def evaluate(
    model: Annotated[Path, typer.Argument(help="A .keras, .tflite or .onnx file, or the folder of a SavedModel.")],
    data: Data,
    split: Annotated[Split, typer.Option(help="Which part of the data.")] = Split.test,
    crf: Crf = False,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Score the mean of this many passes with dropout on (.keras files; the paper takes 50)."
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the scores to this file too.")] = None,
) -> None:
    """Score a model on labelled images, at the labels' own resolution.

    Example: `keras-segnet evaluate runs/first/model.keras --data my_images --split test --json scores.json`

    Bayesian SegNet, with dropout: `keras-segnet evaluate MODEL --data my_images --samples 50`
    """
    from keras_segnet.data import open_dataset
    from keras_segnet.evaluation.evaluate import evaluate as evaluate_segmenter
    from keras_segnet.evaluation.evaluate import scores_as_json, table_rows
    from keras_segnet.files import write_text
    from keras_segnet.inference import DenseCRFSegmenter, load_monte_carlo_segmenter, load_segmenter

    if json_file is not None:
        refuse_missing_folder(json_file)
    dataset = open_dataset(data, split.value)
    segmenter = load_segmenter(model) if samples is None else load_monte_carlo_segmenter(model, samples)
    if crf:
        segmenter = DenseCRFSegmenter(segmenter)
    scores = evaluate_segmenter(segmenter, dataset, screen.progress).scores()
    console.print(screen.scores_table(f"{model} on {dataset.name}", table_rows(scores, dataset.classes)))
    if json_file is not None:
        write_text(json_file, json.dumps(scores_as_json(scores, dataset.classes), indent=2) + "\n")
        say(f"The scores are in {json_file}.")
