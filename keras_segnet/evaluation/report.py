"""What a run leaves for people: report.md, overlays, and the figures that it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_segnet.data.dataset import Classes, SegmentationDataset
from keras_segnet.data.images import write_png
from keras_segnet.evaluation.evaluate import percent, table_rows
from keras_segnet.files import unique_file_names, write_text
from keras_segnet.inference.segmenters import Segmenter
from keras_segnet.metrics import ConfusionMatrix
from keras_segnet.pictures.figures import draw_confusion_matrix, draw_curves
from keras_segnet.pictures.overlays import comparison

OVERLAYS = 8


def write_report(
    folder: Path,
    title: str,
    settings: dict[str, object],
    rows: list[dict[str, float]],
    matrix: ConfusionMatrix,
    segmenter: Segmenter,
    dataset: SegmentationDataset,
    monitor: str,
) -> None:
    """Writes report.md, curves.png, confusion_matrix.png and overlays/ into the folder of a run.

    Args:
        folder: of the run.
        title: first line of the report.
        settings: what made the run.
        rows: of metrics.csv.
        matrix: of `segmenter` on `dataset`.
        segmenter: the model that is reported on.
        dataset: the examples that it is scored on and shown with.
        monitor: the validation score that picked the model's epoch, a column of `rows` without "val_".
    """
    draw_curves(rows, folder / "curves.png")
    draw_confusion_matrix(matrix.counts, dataset.classes, folder / "confusion_matrix.png")
    names = write_overlays(folder / "overlays", segmenter, dataset)
    best = max(rows, key=lambda row: row[f"val_{monitor}"])
    lines = [
        f"# {title}",
        "",
        f"The model is that of epoch {best['epoch']:.0f} of {rows[-1]['epoch']:.0f}, with the best validation "
        f"`{monitor}`.",
        f"Below are its scores on {dataset.name} ({len(dataset)} images), at the labels' own resolution.",
        "",
        *markdown_table(matrix, dataset.classes),
        "",
        "![curves](curves.png)",
        "",
        "![confusion matrix](confusion_matrix.png)",
        "",
        "## Settings",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {key} | {value} |" for key, value in settings.items()),
        "",
        "## Examples",
        "",
        "Image, truth, prediction, errors (red; ignored pixels black).",
        "",
        *(f"![{name}](overlays/{name}.png)" for name in names),
        "",
    ]
    write_text(folder / "report.md", "\n".join(lines))


def write_overlays(folder: Path, segmenter: Segmenter, dataset: SegmentationDataset) -> list[str]:
    """Writes comparisons of up to eight examples, spread over the data set, and returns their names."""
    folder.mkdir(exist_ok=True)
    indices = np.unique(np.linspace(0, len(dataset) - 1, OVERLAYS).astype(int)).tolist()
    names = unique_file_names(dataset.item_name(index) for index in indices)
    for index, name in zip(indices, names, strict=True):
        example = dataset[index]
        picture = comparison(example.image, example.label, segmenter.label(example.image), dataset.classes)
        write_png(folder / f"{name}.png", picture)
    return names


def markdown_table(matrix: ConfusionMatrix, classes: Classes) -> list[str]:
    """The scores as the lines of a Markdown table, in percent."""
    scores = matrix.scores()
    return [
        f"Global accuracy {percent(scores.global_accuracy)}, class average accuracy "
        f"{percent(scores.class_average_accuracy)}, mean IoU {percent(scores.mean_iou)}.",
        "",
        "| class | accuracy, % | IoU, % | pixels |",
        "|---|---:|---:|---:|",
        *("| " + " | ".join(row) + " |" for row in table_rows(scores, classes)),
    ]
