"""Resident memory over a long training and a long prediction: does it stay flat?

.venv/bin/python benchmarks/memory_over_time.py
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import cv2
import keras
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import keras_segnet
from keras_segnet.data import street_scenes, training_batches
from keras_segnet.inference.bulk import find_inputs, label_all
from keras_segnet.inference.segmenters import KerasSegmenter
from keras_segnet.pictures.overlays import Paint

SIZE = (24, 32)
CHECKS = 10

console = Console(width=120)


def resident() -> float:
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class MemoryOfSteps(keras.callbacks.Callback):
    """Notes the memory ten times in a training."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.every = steps // CHECKS
        self.done = 0
        self.noted: list[tuple[int, float]] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.done += 1
        if self.done % self.every == 0:
            self.noted.append((self.done, resident()))


def train(steps: int) -> tuple[keras.Model, list[tuple[int, float]]]:
    keras.utils.set_random_seed(0)
    scenes = street_scenes("train", count=40, size=(48, 64))
    model = keras_segnet.build_segnet_basic(11, (*SIZE, 3), width=0.05)
    model.compile("adamw", keras_segnet.losses.WeightedCrossentropy(11, ignore_class=11))
    memory = MemoryOfSteps(steps)
    model.fit(training_batches(scenes, 4, SIZE), epochs=steps // 10, callbacks=[memory], verbose=0)
    return model, memory.noted


def predict(model: keras.Model, frames: int) -> Iterator[tuple[int, float]]:
    scenes = street_scenes("test", count=50, size=(48, 64))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drive.mp4"
        film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (64, 48))
        pictures = [np.ascontiguousarray(scenes[i].image[..., ::-1]) for i in range(len(scenes))]
        for number in range(frames):
            film.write(pictures[number % len(pictures)])
        film.release()
        output = Path(folder) / "out"
        done = label_all(KerasSegmenter(model), find_inputs([path], output), output, Paint(scenes.classes), "overlays")
        for number, _ in enumerate(done, start=1):
            if number % (frames // CHECKS) == 0:
                yield number, resident()


def show(title: str, unit: str, noted: list[tuple[int, float]]) -> None:
    table = Table(title=title, title_justify="left")
    for heading in (unit, "resident, MiB", "more than at the first check"):
        table.add_column(heading, justify="right")
    for done, memory in noted:
        table.add_row(f"{done:,}", f"{memory:.1f}", f"{memory - noted[0][1]:+.1f}")
    console.print(table)


def main(
    steps: Annotated[int, typer.Option(min=CHECKS, help="Of training.")] = 1000,
    frames: Annotated[int, typer.Option(min=CHECKS, help="Of a video to label.")] = 10_000,
) -> None:
    """Trains a tiny SegNet-Basic, labels a video with it, and prints the resident memory ten times in each."""
    model, noted = train(steps)
    show("Training", "steps", noted)
    show("Prediction", "frames", list(predict(model, frames)))


if __name__ == "__main__":
    typer.run(main)
