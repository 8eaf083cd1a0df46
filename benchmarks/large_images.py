"""A 4000x3000 image with objects of 20 pixels, labelled by tiles, crop by crop, and shrunk as a whole.

.venv/bin/python benchmarks/large_images.py

Trains a narrow SegNet-Basic for a minute or two on crops of images like it, of which it sees no pixel of the large one.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
import time
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from memory_over_time import resident
from rich.console import Console
from rich.table import Table

import keras_segnet
from keras_segnet.data import Classes, Example, SegmentationDataset
from keras_segnet.inference import load_segmenter
from keras_segnet.metrics import ConfusionMatrix
from keras_segnet.progress import Display

INPUT = (96, 128)
OBJECT = 20
"""Pixels across."""

console = Console(width=120)


class Objects(SegmentationDataset):
    """Discs and squares of any colour on noise, 20 pixels across and turned at random: only their outline tells them.

    Args:
        count: of images.
        size: height and width of each.
        seed: of the first.
    """

    name = "objects"
    classes = Classes(("background", "disc", "square"), ((0, 0, 0), (230, 60, 60), (60, 120, 230)))

    def __init__(self, count: int, size: tuple[int, int], seed: int) -> None:
        self.count, self.size, self.seed = count, size, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        random = np.random.default_rng(self.seed + index)
        height, width = self.size
        image = random.integers(90, 166, (height, width, 3), np.uint8)
        label = np.zeros(self.size, np.uint8)
        for top in range(0, height - 2 * OBJECT, 2 * OBJECT):
            for left in range(0, width - 2 * OBJECT, 2 * OBJECT):
                kind = int(random.integers(3))
                centre = (int(left + OBJECT + random.integers(-8, 9)), int(top + OBJECT + random.integers(-8, 9)))
                colour = tuple(random.integers(0, 256, 3).tolist())
                if kind == 1:
                    for array, value in ((image, colour), (label, 1)):
                        cv2.circle(array, centre, OBJECT // 2, value, -1)
                elif kind == 2:
                    side = OBJECT * 0.89  # Of the disc's area.
                    corners = (
                        cv2.boxPoints((centre, (side, side), float(random.uniform(0, 90)))).round().astype(np.int32)
                    )
                    for array, value in ((image, colour), (label, 2)):
                        cv2.fillConvexPoly(array, corners, value)
        return Example(image, label)

    def item_name(self, index: int) -> str:
        return f"{self.name} {self.seed + index}"


def main(epochs: Annotated[int, typer.Option(min=1, help="Of training, 32 crops each.")] = 40) -> None:
    """Trains on crops, and prints the scores and the time of each way to label a 4000x3000 image."""
    with tempfile.TemporaryDirectory() as folder:
        keras_segnet.train(
            {"train": Objects(32, (240, 320), 0), "val": Objects(4, (240, 320), 1000)},
            output=Path(folder) / "run",
            model="segnet_basic",
            width=0.25,
            input_size=INPUT,
            fit="tile",
            epochs=epochs,
            display=Display(),
        )
        large = Objects(1, (3000, 4000), 2000)
        image, label = large[0]
        segmenter = load_segmenter(Path(folder) / "run" / "model.keras")
        table = Table(title="A 4000x3000 image, objects of 20 pixels", title_justify="left")
        for heading in ("labelled", "global accuracy, %", "mean IoU, %", "disc, %", "square, %", "s", "MiB more"):
            table.add_column(heading, justify="right")

        def show(name: str, matrix: ConfusionMatrix, seconds: float, memory: float) -> None:
            scores = matrix.scores()
            shares = (scores.global_accuracy, scores.mean_iou, *scores.class_iou[1:])
            table.add_row(name, *(f"{100 * share:.2f}" for share in shares), f"{seconds:.1f}", f"{memory:.0f}")

        segmenter.label(image[: INPUT[0], : INPUT[1]])
        crops, start, before = ConfusionMatrix(3), time.monotonic(), resident()
        for top in range(0, 3000 - INPUT[0] + 1, INPUT[0]):
            for left in range(0, 4000 - INPUT[1] + 1, INPUT[1]):
                part = np.s_[top : top + INPUT[0], left : left + INPUT[1]]
                crops.add(label[part], segmenter.label(image[part]))
        show("crop by crop", crops, time.monotonic() - start, resident() - before)
        for name, options in (("by tiles", {}), ("shrunk", {"fit": "stretch"})):
            start, before = time.monotonic(), resident()
            found = keras_segnet.evaluate(segmenter, large, **options, display=Display())
            show(name, found.matrix, time.monotonic() - start, resident() - before)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
