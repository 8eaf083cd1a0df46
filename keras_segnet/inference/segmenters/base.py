"""What every segmenter is and does."""

from __future__ import annotations

import cv2
import numpy as np

from keras_segnet.data.images import resize_image


class Segmenter:
    """A network that accepts images of any size and gives class probabilities at their own resolution.

    An image goes through these steps; each calls the one before it, and each can be called by itself:

        resize_to_input(image)   the image at the network's input size
        to_input(images)         a batch as the bare network takes it: float32, or quantised
        infer(batch)             the bare network: what its head gives
        run(images)              class probabilities of a batch, at the network's size
        probabilities(image)     class probabilities of one image of any size, at its own size
        label(image)             the most probable class of each of its pixels

    A new kind of file needs `infer`, and `to_input` where it does not take float32.

    Attributes:
        num_classes: number of classes.
        input_size: height and width at which the network works, or None where it takes images as they are.
        head: what the bare network gives: "probabilities", "logits" or "class_map". Logits become probabilities here,
            and a class map becomes probabilities of 0 and 1.
        precision: "float32", "float16" or "int8", or None where a file does not say.
    """

    num_classes: int
    input_size: tuple[int, int] | None
    head: str = "probabilities"
    precision: str | None = None

    def resize_to_input(self, image: np.ndarray) -> np.ndarray:
        """The image `(height, width, 3)` at the network's input size."""
        return image if self.input_size is None else resize_image(image, self.input_size)

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
        if self.head == "class_map":
            return np.eye(self.num_classes, dtype=np.float32)[output]
        return output if self.head == "probabilities" else _softmax(output)

    def probabilities(self, image: np.ndarray) -> np.ndarray:
        """Class probabilities of one image.

        Args:
            image: uint8 RGB `(height, width, 3)`, of any size. It is resized to the network's input.

        Returns:
            float32 `(height, width, classes)`; the network's output, resized back bilinearly.
        """
        return resize_maps(self.run(self.resize_to_input(image)[None])[0], image.shape[:2])

    def probabilities_and_uncertainty(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The same, and float32 `(height, width)`, how uncertain they are, from a segmenter that can tell."""
        return self.probabilities(image), None

    def label(self, image: np.ndarray) -> np.ndarray:
        """The most probable class of each pixel of one image, uint8 `(height, width)`."""
        return self.probabilities(image).argmax(axis=-1).astype(np.uint8)


def resize_maps(maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resizes what a network gave for one image, float `(height, width, ...)`, bilinearly to `(height, width)`."""
    if maps.shape[:2] == size:
        return maps
    return cv2.resize(maps, size[::-1], interpolation=cv2.INTER_LINEAR)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
