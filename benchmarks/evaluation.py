"""What an evaluation costs beside its network: reading, resizing and scoring run in threads beside it.

    python benchmarks/evaluation.py --data CAMVID

The network alone gets the same images, in memory and in the same batches. Both take turns; medians. On a machine with
other work the ratio of the processor's seconds says more than that of the clock's.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer

import keras_segnet
from keras_segnet.data import FileDataset, open_dataset
from keras_segnet.inference import open_segmenter
from keras_segnet.progress import Display


def main(
    data: Annotated[str, typer.Option(help="As `keras-segnet evaluate` takes it.")],
    model: str = "segnet_edge",
    images: Annotated[int, typer.Option(help="How many of the test images.")] = 233,
    turns: int = 3,
) -> None:
    dataset = open_dataset(data, "test")
    assert isinstance(dataset, FileDataset)
    some = FileDataset(dataset.name, dataset.classes, dataset.pairs[:images], dataset.coding)
    segmenter = open_segmenter(model)
    inputs = np.stack([segmenter.resize_to_input(some[index].image) for index in range(len(some))])

    def network() -> None:
        for first in range(0, len(inputs), segmenter.batch_size):
            segmenter.run(inputs[first : first + segmenter.batch_size])

    def evaluation() -> None:
        keras_segnet.evaluate(segmenter, some, display=Display())

    network()
    times = [(timed(network), timed(evaluation)) for _ in range(turns)]
    print(f"{len(some)} images with {model}, medians of {turns} turns, batches of {segmenter.batch_size}")
    for name, which in (("clock", 0), ("processor", 1)):
        alone, whole = (statistics.median(each[task][which] for each in times) for task in (0, 1))
        print(f"{name:>9}: network {alone:7.2f} s, evaluation {whole:7.2f} s, ratio {whole / alone:.2f}")


def timed(task: Callable[[], None]) -> tuple[float, float]:
    clock, processor = time.perf_counter(), time.process_time()
    task()
    return time.perf_counter() - clock, time.process_time() - processor


if __name__ == "__main__":
    typer.run(main)
