"""Dense CRF on one core: time of ten iterations at 360x480 with 11 classes, on drawn streets or on images of your own.

.venv/bin/python benchmarks/crf.py
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import statistics
import time
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from keras_segnet.data import street_scenes
from keras_segnet.data.images import list_images, read_image, resize_image
from keras_segnet.inference.dense_crf import dense_crf, position_and_colour
from keras_segnet.inference.permutohedral import PermutohedralLattice

SIZE = (360, 480)
CLASSES = 11

console = Console(width=120)


def main(
    images: Annotated[Path | None, typer.Option(help="A folder of images. Default: drawn streets.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many images, spread over the folder.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="How often each.")] = 5,
) -> None:
    """Prints medians of wall time and of processor time."""
    cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.full(CLASSES, 0.3), SIZE).astype(np.float32)
    if images is None:
        scenes = street_scenes("test", count, SIZE)
        pictures = {scenes.item_name(i): scenes[i].image for i in range(count)}
    else:
        paths = list_images(images)
        chosen = sorted({round(place) for place in np.linspace(0, len(paths) - 1, count)})
        pictures = {paths[i].stem: resize_image(read_image(paths[i]), SIZE) for i in chosen}
    table = Table(title=f"Dense CRF, {SIZE[0]}x{SIZE[1]}, {CLASSES} classes, one core", title_justify="left")
    table.add_column("image")
    for heading in ("lattice [ms]", "10 iterations and lattice [ms]", "processor time [ms]"):
        table.add_column(heading, justify="right")
    for name, picture in pictures.items():
        turns = [turn(probabilities, picture) for _ in range(rounds)]
        medians = [statistics.median(values) for values in zip(*turns, strict=True)]
        table.add_row(name, *(f"{1e3 * value:.0f}" for value in medians))
    console.print(table)


def turn(probabilities: np.ndarray, picture: np.ndarray) -> tuple[float, float, float]:
    """Seconds: of the lattice alone, of all, and of the processor for all."""
    start = time.perf_counter()
    PermutohedralLattice(position_and_colour(picture, 80.0, 13.0))
    lattice = time.perf_counter() - start
    start, processor = time.perf_counter(), time.process_time()
    dense_crf(probabilities, picture, iterations=10)
    return lattice, time.perf_counter() - start, time.process_time() - processor


if __name__ == "__main__":
    typer.run(main)
