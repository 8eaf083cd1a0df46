"""What the colours of the classes mean."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from keras_segnet.data.dataset import Classes
from keras_segnet.files import whole_file

COLUMNS = 8


def class_patches(classes: Classes, ignored: bool = False) -> list[Patch]:
    """A coloured patch with its name for each class, and for ignored pixels if asked for, for a figure's legend."""
    pairs = list(zip(classes.names, classes.colours, strict=True))
    pairs += [("ignored", classes.ignored_colour)] * ignored
    return [
        Patch(facecolor=(red / 255, green / 255, blue / 255), edgecolor="black", linewidth=0.3, label=name)
        for name, (red, green, blue) in pairs
    ]


def draw_legend(classes: Classes, path: Path, unpainted: int | None = None) -> None:
    """Writes a PNG with the colour and the name of each class.

    Args:
        classes: which.
        path: of the PNG.
        unpainted: the class that overlays leave as it is in the image, if there is one. It is left out.
    """
    patches = [patch for c, patch in enumerate(class_patches(classes)) if c != unpainted]
    figure = Figure(figsize=(10, 0.3 + 0.25 * -(-len(patches) // COLUMNS)))
    legend = figure.legend(handles=patches, loc="center", ncols=COLUMNS, fontsize=8, frameon=False)
    for text in legend.get_texts():
        text.set_parse_math(False)
    with whole_file(path) as partial:
        figure.savefig(partial, format="png", dpi=110)
