"""Many images through a network: reading, the network and what is done with its answer overlap, at constant memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from keras_segnet.inference.segmenters import Prediction, Segmenter
from keras_segnet.threads import in_threads

Item = TypeVar("Item")
Content = TypeVar("Content")
Result = TypeVar("Result")


def predict_each(
    segmenter: Segmenter,
    items: Iterable[Item],
    read: Callable[[Item], tuple[np.ndarray, Content]],
    finish: Callable[[Content, Prediction], Result],
    *,
    workers: int | None = None,
) -> Generator[Result, None, None]:
    """Reads images, predicts them in batches and finishes each one; gives the results in order.

    Args:
        segmenter: the network. It runs in the caller's thread.
        items: any number of them; read in the caller's thread.
        read: gives an item's image, uint8 RGB `(height, width, 3)`, and what `finish` needs of it. Called in threads.
        finish: makes a result of that and the prediction. Called in threads.
        workers: threads that finish; 1 where one result must be finished before the next. Default: one for each CPU.
    """

    def prepare(item: Item) -> tuple[np.ndarray, np.ndarray, Content]:
        image, content = read(item)
        return segmenter.resize_to_input(image), image, content

    def predict() -> Iterator[tuple[Any, ...]]:
        for batch in _batches(in_threads(prepare, items), segmenter.batch_size):
            inputs, images, contents = zip(*batch, strict=True)
            probabilities, uncertainty = segmenter.run_with_uncertainty(np.stack(inputs))
            uncertainties = [None] * len(images) if uncertainty is None else uncertainty
            yield from zip(contents, images, probabilities, uncertainties, strict=True)

    def end(predicted: tuple[Any, ...]) -> Result:
        content, image, probabilities, uncertainty = predicted
        return finish(content, segmenter.restore(image, probabilities, uncertainty))

    yield from in_threads(end, predict(), workers)


def _batches(
    prepared: Iterable[tuple[np.ndarray, np.ndarray, Content]], size: int
) -> Iterator[list[tuple[np.ndarray, np.ndarray, Content]]]:
    """Neighbours whose inputs have one shape, at most `size` of them."""
    batch: list[tuple[np.ndarray, np.ndarray, Content]] = []
    for each in prepared:
        if batch and (len(batch) == size or each[0].shape != batch[0][0].shape):
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch
