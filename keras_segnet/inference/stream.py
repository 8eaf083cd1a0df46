"""Many images through a network: reading, the network and what is done with its answer overlap, at constant memory."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from keras_segnet.data.geometry import Layout, Window
from keras_segnet.inference.segmenters import Labelled, Prediction, Segmenter, blend
from keras_segnet.threads import in_threads

Item = TypeVar("Item")
Content = TypeVar("Content")
Result = TypeVar("Result")


def predict_each(
    segmenter: Segmenter,
    items: Iterable[Item],
    read: Callable[[Item], tuple[np.ndarray, Content]],
    finish: Callable[[Content, Prediction | Labelled], Result],
    *,
    workers: int | None = None,
) -> Generator[Result, None, None]:
    """Reads images, predicts them in batches and finishes each one; gives the results in order.

    Args:
        segmenter: the network. It runs in the caller's thread.
        items: any number of them; read in the caller's thread.
        read: gives an item's image, uint8 RGB `(height, width, 3)`, and what `finish` needs of it. Called in threads.
        finish: makes a result of that and the prediction; of an image in several windows a `Labelled`, for which no
            more than one row of windows is held. Called in threads.
        workers: threads that finish; 1 where one result must be finished before the next. Default: one for each CPU.
    """

    def prepare(item: Item) -> tuple[np.ndarray, Content, Layout]:
        image, content = read(item)
        return image, content, segmenter.layout(image.shape[:2])

    waiting: deque[tuple[np.ndarray, Content, Layout]] = deque()

    def windows() -> Iterator[tuple[Window, np.ndarray]]:
        for each in in_threads(prepare, items):
            waiting.append(each)
            image, _, layout = each
            yield from ((window, image) for window in layout.windows)

    def to_input(each: tuple[Window, np.ndarray]) -> tuple[np.ndarray, Window, np.ndarray]:
        window, image = each
        return window.image(image), window, image

    def predict() -> Iterator[tuple[Window, np.ndarray, np.ndarray, np.ndarray | None]]:
        for batch in _batches(in_threads(to_input, windows()), segmenter.batch_size):
            inputs, places, images = zip(*batch, strict=True)
            probabilities, uncertainty = segmenter.run_with_uncertainty(np.stack(inputs))
            uncertainties = [None] * len(images) if uncertainty is None else uncertainty
            yield from zip(places, images, probabilities, uncertainties, strict=True)

    def join() -> Iterator[tuple[Content, Any]]:
        predicted = predict()
        for first in predicted:
            _, content, layout = waiting.popleft()
            if len(layout.windows) == 1:
                yield content, first
                continue
            of_image = itertools.chain([first], itertools.islice(predicted, len(layout.windows) - 1))
            bands = blend(layout, in_threads(lambda given: segmenter.restore(*given), of_image))
            labels, uncertainties = zip(*((band.label, band.uncertainty) for band in bands), strict=True)
            yield content, Labelled(np.concatenate(labels), _joined(uncertainties))

    def end(joined: tuple[Content, Any]) -> Result:
        # An image of one window is restored here, so that no more maps of its size exist than there are threads.
        content, found = joined
        return finish(content, found if isinstance(found, Labelled) else segmenter.restore(*found))

    yield from in_threads(end, join(), workers)


def _joined(bands: tuple[np.ndarray | None, ...]) -> np.ndarray | None:
    found = [band for band in bands if band is not None]
    return np.concatenate(found) if found else None


def _batches(
    prepared: Iterable[tuple[np.ndarray, Window, np.ndarray]], size: int
) -> Iterator[list[tuple[np.ndarray, Window, np.ndarray]]]:
    """Neighbours whose inputs have one shape, at most `size` of them."""
    batch: list[tuple[np.ndarray, Window, np.ndarray]] = []
    for each in prepared:
        if batch and (len(batch) == size or each[0].shape != batch[0][0].shape):
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch
