"""Figures of a run: its curves and its confusion matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from keras_segnet.data.dataset import Classes
from keras_segnet.files import whole_file


def draw_confusion_matrix(counts: np.ndarray, classes: Classes, path: Path) -> None:
    """Draws each label's predictions in percent of its pixels, and writes a PNG.

    Args:
        counts: int `(classes, classes)`; row = label, column = prediction.
        classes: whose names stand at the axes.
        path: of the PNG.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = 3 + 0.55 * len(classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.set_xticks(range(len(classes)), classes.names, rotation=45, ha="right", parse_math=False)
    axes.set_yticks(range(len(classes)), classes.names, parse_math=False)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    axes.set_title("Percent of each class's pixels")
    for row in range(len(classes)):
        for column in range(len(classes)):
            share = shares[row, column]
            if share >= 0.5:
                colour = "white" if share > 55 else "black"
                axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour, fontsize=9)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)


def draw_curves(rows: list[dict[str, float]], path: Path) -> None:
    """Draws loss, global accuracy, class average accuracy and mean IoU over the epochs, and writes a PNG.

    Args:
        rows: one an epoch, with `epoch`, and `loss`, `global_accuracy`, ... and the same behind `val_`.
        path: of the PNG.
    """
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    epochs = [row["epoch"] for row in rows]
    panels = (
        ("loss", "loss", 1),
        ("global_accuracy", "global accuracy, %", 100),
        ("class_average_accuracy", "class average accuracy, %", 100),
        ("mean_iou", "mean IoU, %", 100),
    )
    for axes, (key, title, factor) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.plot(epochs, [factor * row[key] for row in rows], label="training", color="tab:gray", marker=".")
        axes.plot(
            epochs, [factor * row[f"val_{key}"] for row in rows], label="validation", color="tab:blue", marker="."
        )
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)
