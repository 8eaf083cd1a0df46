"""What is written of an uncertainty: its values, and a picture with a colour bar."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from keras_segnet.files import whole_file


def write_uncertainty(uncertainty: np.ndarray, path: Path) -> None:
    """Writes `path` with `.npy` behind it, the values as they are, and with `.png`, a picture of them.

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
    with whole_file(values) as partial, partial.open("wb") as file:
        np.save(file, uncertainty)
    with whole_file(picture) as partial:
        figure.savefig(partial, dpi=110, format="png")
