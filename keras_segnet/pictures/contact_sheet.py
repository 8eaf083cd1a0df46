"""One picture of a data set: some of its images with their labels over them, and what the colours mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from keras_segnet.data.dataset import Example, SegmentationDataset
from keras_segnet.files import whole_file
from keras_segnet.pictures.legend import class_patches
from keras_segnet.pictures.overlays import overlay

COLUMNS, ROWS = 4, 3
INCHES = 3.2
"""Width of an image on the sheet."""


def draw_contact_sheet(datasets: Sequence[SegmentationDataset], path: Path) -> int:
    """Draws up to twelve examples, spread over data sets of the same classes, and writes a PNG.

    Args:
        datasets: the splits of a data set. Examples with a fault are left out.
        path: of the PNG.

    Returns:
        How many examples are on it.
    """
    shown = _choose(datasets)
    classes = datasets[0].classes
    rows = max(1, -(-len(shown) // COLUMNS))
    legend_rows = -(-(len(classes) + 1) // 8)
    figure = Figure(figsize=(COLUMNS * INCHES, rows * 0.85 * INCHES + 0.25 * legend_rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, (title, example) in zip(panels, shown, strict=False):
        axes.imshow(overlay(example.image, example.label, classes))
        axes.set_title(title, fontsize=7)
    figure.legend(
        handles=class_patches(classes, ignored=True), loc="outside lower center", ncols=8, fontsize=8, frameon=False
    )
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=110)
    return len(shown)


def _choose(datasets: Sequence[SegmentationDataset]) -> list[tuple[str, Example]]:
    """Examples without a fault, as many from each data set, as far apart as they can be."""
    each = max(1, COLUMNS * ROWS // len(datasets))
    chosen = []
    for dataset in datasets:
        for index in np.unique(np.linspace(0, len(dataset) - 1, min(each, len(dataset))).astype(int)).tolist():
            example, _ = dataset.examine(index)
            if example is not None:
                chosen.append((f"{dataset.name}: {dataset.item_name(index)}", example))
    return chosen
