"""What every segmenter is and does."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from keras_segnet.data.geometry import STRETCH, Fit, Layout, Window
from keras_segnet.data.images import resize_image


class Prediction(NamedTuple):
    """A network's output for one image, at the image's own size.

    Attributes:
        probabilities: float32 `(height, width, classes)`.
        uncertainty: float32 `(height, width)`, of a segmenter that can tell; else None.
    """

    probabilities: np.ndarray
    uncertainty: np.ndarray | None

    @property
    def label(self) -> np.ndarray:
        """The most probable class of each pixel, uint8 `(height, width)`."""
        return self.probabilities.argmax(axis=-1).astype(np.uint8)


class Labelled(NamedTuple):
    """What a network says of an image in several windows: a `Prediction` without its probabilities.

    These would take half a GB for 4000x3000 pixels and 11 classes.

    Attributes:
        label: the most probable class of each pixel, uint8 `(height, width)`.
        uncertainty: as of a `Prediction`.
    """

    label: np.ndarray
    uncertainty: np.ndarray | None


class Segmenter:
    """A network that accepts images of any size and gives class probabilities at their own resolution.

    An image becomes one or several windows, see `keras_segnet.data.geometry`. They go through these steps; each can be
    called by itself, and those from `run` on call those before them:

        layout(size)             the windows of an image; `window.image(image)` is the input of one
        to_input(images)         a batch as the bare network takes it: float32, or quantised
        infer(batch)             the bare network: what its head gives
        run(images)              class probabilities of a batch, at the network's size
        restore(window, ...)     the same of one window, at its own size
        predict(image)           all of that for one image; `probabilities` and `label` are its parts

    `keras_segnet.inference.predict_each` takes many images that way, in batches, a row of windows at a time.

    A new kind of file needs `infer`, and `to_input` where it does not take float32.

    Attributes:
        num_classes: number of classes.
        input_size: height and width at which the network works, or None where it takes images as they are.
        head: what the bare network gives: "probabilities", "logits" or "class_map"; None until the first batch shows
            it, where a file does not say. Logits become probabilities here, and a class map becomes probabilities of 0
            and 1.
        batch_size: images that `predict_each` gives to the network at once.
        precision: "float32", "float16", "int8" or "int16x8", or None where a file does not say.
        fit: the rule by which an image becomes inputs; None where none is known. Then an image is stretched.
    """

    num_classes: int
    input_size: tuple[int, int] | None
    head: str | None = None
    precision: str | None = None
    batch_size: int = 1
    fit: Fit | None = None

    def resize_to_input(self, image: np.ndarray) -> np.ndarray:
        """The whole image `(height, width, 3)` at the network's input size, whatever the rule."""
        return image if self.input_size is None else resize_image(image, self.input_size)

    def layout(self, size: tuple[int, int]) -> Layout:
        """The windows by which an image of a height and width becomes inputs, by the rule of `fit`."""
        return (self.fit or STRETCH).layout(size, self.input_size)

    def to_input(self, images: np.ndarray) -> np.ndarray:
        """Images as the bare network takes them.

        Args:
            images: uint8 or float RGB 0..255 `(batch, height, width, 3)`.
        """
        return images.astype(np.float32)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        """The bare network: what the head gives for what `to_input` made."""
        raise NotImplementedError

    def run(self, images: np.ndarray) -> np.ndarray:
        """Class probabilities at the network's own size.

        Args:
            images: uint8 or float RGB 0..255 `(batch, height, width, 3)`, of `input_size` where that is not None.

        Returns:
            float32 `(batch, height, width, classes)`.
        """
        output = self.infer(self.to_input(images))
        if self.head is None:
            self.head = "probabilities" if are_probabilities(output) else "logits"
        if self.head == "class_map":
            return np.eye(self.num_classes, dtype=np.float32)[output]
        return output if self.head == "probabilities" else softmax(output)

    def run_with_uncertainty(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The same, and float32 `(batch, height, width)`, how uncertain they are, from a segmenter that can tell."""
        return self.run(images), None

    def restore(
        self, window: Window, image: np.ndarray, probabilities: np.ndarray, uncertainty: np.ndarray | None
    ) -> Prediction:
        """What the network gave for one window of an image, resized bilinearly to the window's own size."""
        return Prediction(window.maps(probabilities), None if uncertainty is None else window.maps(uncertainty))

    def predict(self, image: np.ndarray) -> Prediction:
        """The prediction for one image, uint8 RGB `(height, width, 3)`, of any size, at that size.

        It becomes inputs by the rule of `fit`, and what the network gives is resized and blended back.
        """
        layout = self.layout(image.shape[:2])

        def predict(window: Window) -> Prediction:
            probabilities, uncertainty = self.run_with_uncertainty(window.image(image)[None])
            return self.restore(window, image, probabilities[0], None if uncertainty is None else uncertainty[0])

        bands = list(blend(layout, map(predict, layout.windows)))
        if len(bands) == 1:
            return bands[0]
        probabilities, uncertainties = zip(*bands, strict=True)
        return Prediction(
            np.concatenate(probabilities), None if uncertainties[0] is None else np.concatenate(uncertainties)
        )

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities of one image, float32 `(height, width, classes)`; see `predict`."""
        return self.predict(image).probabilities

    def label(self, image: np.ndarray) -> np.ndarray:
        """The most probable class of each pixel of one image, uint8 `(height, width)`; see `predict`."""
        return self.predict(image).label


def blend(layout: Layout, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """Joins the predictions for the windows of an image: bands of it from top to bottom, see `Layout.blend`."""

    def as_maps(prediction: Prediction) -> np.ndarray:
        probabilities, uncertainty = prediction
        return probabilities if uncertainty is None else np.dstack([probabilities, uncertainty])

    predictions = iter(predictions)
    if len(layout.windows) == 1:
        yield next(predictions)
        return
    first = next(predictions)
    classes = first.probabilities.shape[-1]
    for band in layout.blend(map(as_maps, itertools.chain([first], predictions))):
        yield Prediction(band[..., :classes], None if first.uncertainty is None else band[..., classes])


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def are_probabilities(output: np.ndarray) -> bool:
    """Whether a network's output `(..., classes)` is a distribution everywhere, but for rounding (int8 has 256 steps).

    Logits are not: they would all have to be positive and to sum to 1.
    """
    return bool(output.min() >= 0 and np.abs(output.sum(axis=-1) - 1).max() < 0.1)
