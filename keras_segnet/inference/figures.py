"""What is written of an uncertainty: its values, and a picture with a colour bar."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def write_uncertainty(uncertainty: np.ndarray, path: Path) -> None:
    """Writes `path` with `.npy` behind it, the values as they are, and with `.png`, a picture of them.

    Each is written beside its place first and then into it.

    Args:
        uncertainty: float32 `(height, width)`, of `keras_segnet.inference.UncertainPrediction`.
        path: without an ending.
    """
    values, picture = (path.with_name(path.name + ending) for ending in (".npy", ".png"))
    height, width = uncertainty.shape
    figure = Figure(figsize=(7.5, 0.7 + 6 * height / width), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(uncertainty, cmap="inferno", vmin=0)
    axes.set_axis_off()
    figure.colorbar(shown, label="variance of the class probabilities")
    for place in (values, picture):
        partial = place.with_name(place.name + ".partial")
        with partial.open("wb") as file:
            if place is values:
                np.save(file, uncertainty)
            else:
                figure.savefig(file, dpi=110, format="png")
        os.replace(partial, place)
