"""`keras-segnet evaluate`."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_segnet.cli import screen
from keras_segnet.cli.commands.arguments import MODEL_HELP, Crf, Data, Split, refuse_missing_folder
from keras_segnet.cli.screen import console, say


class Counting(StrEnum):
    ground_truth = "ground_truth"
    boundary = "boundary"


class Matching(StrEnum):
    distance = "distance"
    one_to_one = "one_to_one"


def evaluate(
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)],
    data: Data,
    split: Annotated[Split, typer.Option(help="Which part of the data.")] = Split.test,
    crf: Crf = False,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, help="Score the mean of this many passes with dropout on (.keras files; the paper takes 50)."
        ),
    ] = None,
    flip: Annotated[bool, typer.Option("--flip", help="Average over each image and its mirror image.")] = False,
    boundary: Annotated[bool, typer.Option("--boundary", help="Score boundary F1 (BF) too.")] = False,
    boundary_counting: Annotated[
        Counting | None,
        typer.Option(
            help="The classes that count in BF: those in the labels of an image, as in the paper, or those with a "
            "boundary in labels or prediction, as in the released script.  [default: ground_truth]"
        ),
    ] = None,
    boundary_matching: Annotated[
        Matching | None,
        typer.Option(
            help="How BF matches the pixels of boundaries: with any within the tolerance, or one to one, as the "
            "released script does.  [default: distance]"
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the scores to this file too.")] = None,
) -> None:
    """Score a model on labelled images, at the labels' own resolution.

    Example: `keras-segnet evaluate runs/first/model.keras --data my_images --split test --json scores.json`

    Bayesian SegNet, with dropout: `keras-segnet evaluate MODEL --data my_images --samples 50`

    The figures of the paper's tables: `keras-segnet evaluate runs/first/model.keras --data camvid --boundary`
    """
    from keras_segnet.data import open_dataset
    from keras_segnet.errors import InputError
    from keras_segnet.evaluation.boundary import BoundaryF1
    from keras_segnet.evaluation.evaluate import evaluate as evaluate_segmenter
    from keras_segnet.evaluation.evaluate import scores_as_json, table_rows
    from keras_segnet.files import write_text
    from keras_segnet.inference import DenseCRFSegmenter, FlipAveraging, load_monte_carlo_segmenter, load_segmenter

    if json_file is not None:
        refuse_missing_folder(json_file)
    if not boundary and (boundary_counting or boundary_matching):
        raise InputError("--boundary-counting and --boundary-matching are for --boundary.")
    dataset = open_dataset(data, split.value)
    segmenter = load_segmenter(model) if samples is None else load_monte_carlo_segmenter(model, samples)
    if flip:
        segmenter = FlipAveraging(segmenter)
    if crf:
        segmenter = DenseCRFSegmenter(segmenter)
    outlines = None
    if boundary:
        counting, matching = boundary_counting or Counting.ground_truth, boundary_matching or Matching.distance
        outlines = BoundaryF1(len(dataset.classes), dataset.classes.ignored, counting.value, matching.value)
    scores = evaluate_segmenter(segmenter, dataset, screen.progress, outlines).scores()
    console.print(screen.scores_table(f"{model} on {dataset.name}", table_rows(scores, dataset.classes)))
    content = scores_as_json(scores, dataset.classes)
    if outlines is not None:
        content |= boundary_as_json(outlines)
        say(one_line(content))
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=2) + "\n")
        say(f"The scores are in {json_file}.")


def boundary_as_json(boundary: Any) -> dict[str, Any]:
    """The score of a `BoundaryF1`, a fraction of 1 or null, and what it means."""
    score = boundary.result()
    return {
        "boundary_f1": score if score == score else None,
        "boundary_counting": boundary.counting,
        "boundary_matching": boundary.matching,
        "boundary_tolerance": boundary.tolerance,
    }


def one_line(scores: dict[str, Any]) -> str:
    """G, C, mIoU and BF in percent, as the paper's tables have them, and which BF it is."""
    columns = {"G": "global_accuracy", "C": "class_average_accuracy", "mIoU": "mean_iou", "BF": "boundary_f1"}
    figures = [f"{name} {'-' if scores[key] is None else f'{100 * scores[key]:.2f}'}" for name, key in columns.items()]
    return (
        f"{' / '.join(figures)}  (BF: counting {scores['boundary_counting']}, matching {scores['boundary_matching']}, "
        f"within {100 * scores['boundary_tolerance']:g} % of the diagonal)"
    )
