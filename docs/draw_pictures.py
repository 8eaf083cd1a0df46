"""Draws the pictures of README.md and docs/: streets that networks label, and pooling indices on a 4x4 example.

    .venv/bin/python docs/draw_pictures.py indices
    .venv/bin/python docs/draw_pictures.py streets     # as notebooks/quickstart.ipynb shows them
    .venv/bin/python docs/draw_pictures.py cards       # as the networks of the package label them

All are written into docs/pictures/.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import cv2
import numpy as np
import typer
from PIL import Image

import keras_segnet
from keras_segnet.files import write_text

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"

FEATURE_MAP = np.array([[3, 7, 1, 2], [5, 4, 6, 0], [2, 2, 9, 8], [1, 0, 3, 5]], np.float32)
"""The example. Its third window, (2, 2, 1, 0), has two equal maxima."""
WINDOWS = ("#f6c7a9", "#b8d8ba", "#a9c9ea", "#e5bfdc")
"""Colours of the four windows, in row-major order."""
CELL = 34
"""Side of an element, in units of the drawing."""

GAP = 6
"""Pixels between the rows of streets."""
ON_CARDS = {"segnet_edge": (13, 10, 11, 16), "segnet_basic": (20, 17, 11, 16)}
"""Test streets on the card of each network's weights: two that it labels well, then two that it does not."""

app = typer.Typer(help="Draws the pictures of README.md and docs/.")


def pooled_and_unpooled(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maxima, indices and unpooled map of a map `(height, width)`, by the layers of the library."""
    batch = x[None, :, :, None]
    pooled, indices = keras_segnet.layers.MaxPoolingWithArgmax2D()(batch)
    unpooled = keras_segnet.layers.MaxUnpooling2D()(pooled, indices, like=batch)
    return tuple(np.asarray(each)[0, :, :, 0] for each in (pooled, indices, unpooled))  # type: ignore[return-value]


def indices_drawing(x: np.ndarray = FEATURE_MAP) -> str:
    """The example as SVG."""
    pooled, indices, unpooled = pooled_and_unpooled(x)
    top, height, width = 44, 4 * CELL + 64, 12 * CELL + 205
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="14" text-anchor="middle">',
        f'<rect width="{width}" height="{height}" rx="8" fill="white"/>',
    ]
    first, second, third, fourth = 20, 4 * CELL + 90, 6 * CELL + 115, 8 * CELL + 185
    parts += _grid(x, first, top, "feature map", 2, bold=unpooled != 0)
    parts += _arrow(4 * CELL + 25, second - 5, top + 2 * CELL)
    parts += _grid(pooled, second, top + CELL, "maxima", 1)
    parts += _grid(indices, third, top + CELL, "indices", 1)
    parts += _arrow(8 * CELL + 120, fourth - 5, top + 2 * CELL)
    parts += _grid(unpooled, fourth, top, "unpooled", 2, bold=unpooled != 0)
    middle = (second + third + 2 * CELL) / 2
    for line, text in enumerate(("index: offset in the window,", "0 1 above 2 3")):
        parts.append(f'<text x="{middle:g}" y="{top + 3.55 * CELL + 16 * line:g}" font-size="12">{text}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _grid(
    values: np.ndarray, left: float, top: float, title: str, window: int, bold: np.ndarray | None = None
) -> list[str]:
    """A map with its title, each element in the colour of its pooling window."""
    rows, columns = values.shape
    parts = [f'<text x="{left + columns * CELL / 2:g}" y="{top - 10:g}">{title}</text>']
    for row in range(rows):
        for column in range(columns):
            x, y = left + column * CELL, top + row * CELL
            colour = WINDOWS[2 * (row // window) + column // window]
            weight = ' font-weight="bold"' if bold is None or bold[row, column] else ' fill="#666"'
            parts.append(
                f'<rect x="{x:g}" y="{y:g}" width="{CELL}" height="{CELL}" fill="{colour}" stroke="white"/>'
                f'<text x="{x + CELL / 2:g}" y="{y + CELL / 2 + 5:g}"{weight}>{values[row, column]:g}</text>'
            )
    return parts


def _arrow(start: float, end: float, y: float) -> list[str]:
    return [
        f'<path d="M{start:g} {y:g}H{end - 6:g}" stroke="#444" stroke-width="2"/>'
        f'<path d="M{end - 10:g} {y - 5:g}L{end:g} {y:g}L{end - 10:g} {y + 5:g}Z" fill="#444"/>'
    ]


@app.command()
def indices() -> None:
    """Draws pooling indices on a 4x4 example."""
    write_text(PICTURES / "indices.svg", indices_drawing())


def labelled_streets() -> bytes:
    """The picture of the quickstart that compares images, truths, predictions and errors, as PNG."""
    cells = json.loads((ROOT / "notebooks" / "quickstart.ipynb").read_text(encoding="utf-8"))["cells"]
    (cell,) = [cell for cell in cells if "pictures.comparison(" in "".join(cell["source"])]
    return base64.b64decode(cell["outputs"][0]["data"]["image/png"])


@app.command()
def streets() -> None:
    """Takes what the network of the quickstart makes of drawn streets from the notebook."""
    (PICTURES / "streets.png").write_bytes(labelled_streets())


def labelled_by(network: str) -> tuple[np.ndarray, list[float]]:
    """Streets as a network of the package labels them, and the share of pixels that it labels rightly in each.

    Each row shows image, truth, prediction and errors at half the size. The network gets 360x480.
    """
    streets = keras_segnet.data.street_scenes("test", size=(360, 480))
    segmenter = keras_segnet.inference.load_segmenter(network)
    rows, shares = [], []
    for index in ON_CARDS[network]:
        image, truth = streets[index]
        prediction = segmenter.label(image)
        shares.append(float((prediction == truth)[truth != streets.classes.ignored].mean()))
        small = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        row = keras_segnet.pictures.comparison(small, truth[::2, ::2], prediction[::2, ::2], streets.classes)
        rows.append(np.pad(row, ((0, GAP), (0, 0), (0, 0)), constant_values=255))
    return np.vstack(rows), shares


@app.command()
def cards() -> None:
    """Draws what networks with the weights of the package make of drawn streets."""
    for network in ON_CARDS:
        picture, _ = labelled_by(network)
        Image.fromarray(picture).quantize(128).save(PICTURES / f"{network}_camvid.png", optimize=True)


if __name__ == "__main__":
    app()
