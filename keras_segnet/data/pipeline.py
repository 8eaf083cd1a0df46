"""From a data set to batches that `model.fit` takes: decode, augment, fit to the input, batch, with grain.

Everything random follows from the seed and the position in the run, so a run gives the same batches however many
threads read, and one that goes on at an epoch sees what it would have seen. Images stay uint8 up to the device.
"""

from __future__ import annotations

import os
import threading
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import grain
import keras
import numpy as np

from keras_segnet.data.dataset import Example, SegmentationDataset
from keras_segnet.data.geometry import STRETCH, Fit
from keras_segnet.data.images import resize_image, resize_label
from keras_segnet.errors import InputError

# Decoding, resizing and the like release Python's lock, so threads serve well. Each makes whole batches.
READING = grain.ReadOptions(num_threads=min(16, 2 * (os.cpu_count() or 1)), prefetch_buffer_size=16)

MEMORY = 1 << 30
"""Bytes that decoded examples of a data set may take: decoding a PNG takes four times what augmenting it does."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training images. Image and label change together.

    Attributes:
        flip: whether half of the images are mirrored left to right. Default True.
        scale: range of the factor by which an image is larger than the input before a random part of the input's size
            is cut out of it; below 1, the rest is ignored pixels. Default (0.75, 1.75). (1, 1) leaves sizes alone.
        rare: share of the images whose part is laid over a pixel of a class that is drawn from those in the image, rare
            ones as often as others. Default 0.
        colour: largest relative change of brightness, contrast and saturation, each. Default 0.3; 0 for none.
    """

    flip: bool = True
    scale: tuple[float, float] = (0.75, 1.75)
    colour: float = 0.3
    rare: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(f"scale must be two positive numbers, the smaller first; not {self.scale}.")
        if not 0 <= self.colour < 1:
            raise InputError(f"colour must be at least 0 and below 1, not {self.colour}.")


UNCHANGED = Augmentation(flip=False, scale=(1.0, 1.0), colour=0.0)


def steps_per_epoch(dataset: SegmentationDataset, batch_size: int) -> int:
    """Batches that it takes to see every example."""
    return -(-len(dataset) // batch_size)


def training_batches(
    dataset: SegmentationDataset,
    batch_size: int,
    input_size: tuple[int, int],
    augmentation: Augmentation | None = Augmentation(),
    seed: int = 0,
    first_epoch: int = 0,
    memory: int = MEMORY,
    part: tuple[int, int] = (0, 1),
    fit: Fit = STRETCH,
) -> Any:
    """Shuffled, augmented batches for `model.fit`; each time they are iterated to the end, another epoch comes next.

    Args:
        dataset: the training set.
        batch_size: images a batch. Every batch is full: the last one of an epoch takes the first images of the next.
        input_size: height and width of the network's input.
        augmentation: what may happen to an image. None: nothing; of an image that is larger than the input at its
            scale, a random part is taken all the same.
        seed: of order and augmentation. Default 0.
        first_epoch: epoch to begin with, counted from 0, for a run that goes on.
        memory: bytes that decoded examples may take; what is beyond is decoded each time. Default 1 GiB, four times
            what CamVid's training images take.
        part: which part of each batch, and of how many: (1, 4) gives the second quarter of the images, for the second
            of four processes that train together. Only they are read. Default (0, 1), all of it.
        fit: the rule by which an image becomes an input. Default: it is stretched.

    Returns:
        What Keras takes, see `for_keras`, of `(images, labels)`: uint8 `(batch, height, width, 3)` and uint8
        `(batch, height, width)`.
    """
    epochs = training_epochs(dataset, batch_size, input_size, augmentation, seed, first_epoch, memory, part, fit)
    return for_keras(epochs, epochs.steps, input_size)


def training_epochs(
    dataset: SegmentationDataset,
    batch_size: int,
    input_size: tuple[int, int],
    augmentation: Augmentation | None = Augmentation(),
    seed: int = 0,
    first_epoch: int = 0,
    memory: int = MEMORY,
    part: tuple[int, int] = (0, 1),
    fit: Fit = STRETCH,
) -> EpochBatches:
    """The batches of `training_batches`, before `for_keras` makes them what `model.fit` accepts."""
    augment = Augment(augmentation or UNCHANGED, input_size, dataset.classes.ignored_or_unused, fit)
    endless = _in_training_order(Kept(dataset, memory), seed).random_map(augment)
    steps = steps_per_epoch(dataset, batch_size)
    batches = _part(endless, part).batch(_size_of_part(batch_size, part))
    return EpochBatches(batches, steps, first_epoch)


def _part(examples: grain.MapDataset, part: tuple[int, int]) -> grain.MapDataset:
    number, parts = part
    return examples if parts == 1 else examples[number::parts]


def _size_of_part(batch_size: int, part: tuple[int, int]) -> int:
    if batch_size % part[1]:
        raise InputError(f"a batch of {batch_size} images cannot be dealt out to {part[1]} processes evenly.")
    return batch_size // part[1]


def names_in_batch(dataset: SegmentationDataset, batch_size: int, seed: int, step: int) -> list[str]:
    """Names of the examples in a batch of `training_batches`, counted from the start of the run."""
    order = _in_training_order(range(len(dataset)), seed)
    return [dataset.item_name(order[i]) for i in range(step * batch_size, (step + 1) * batch_size)]


def _in_training_order(examples: Any, seed: int) -> grain.MapDataset:
    return grain.MapDataset.source(examples).seed(seed).shuffle().repeat()


def evaluation_batches(
    dataset: SegmentationDataset,
    batch_size: int,
    input_size: tuple[int, int],
    memory: int = MEMORY,
    part: tuple[int, int] = (0, 1),
    multiple: int = 1,
    fit: Fit = STRETCH,
) -> Any:
    """All examples once, in order: the same kinds of batches, the last one as small as it comes.

    Of an image of several windows, one is taken: the same each time, and another place in each image.

    Args:
        dataset, batch_size, input_size, memory, part: as for `training_batches`.
        multiple: what the number of images of every batch is to be a multiple of, as devices may ask. What lacks is
            made up by images whose pixels are all ignored. Default 1.
        fit: as for `training_batches`.
    """
    to_input = OneWindow(input_size, dataset.classes.ignored_or_unused, fit)
    padded = grain.MapDataset.source(_Padded(Kept(dataset, memory), multiple)).map_with_index(to_input)
    batches = _part(padded, part).batch(_size_of_part(batch_size, part)).to_iter_dataset(READING)
    return for_keras(batches, steps_per_epoch(dataset, batch_size), input_size)


class _Padded:
    """A data set, and examples without a label behind it until their number is a multiple."""

    def __init__(self, dataset: SegmentationDataset, multiple: int) -> None:
        self.dataset = dataset
        self.length = -(-len(dataset) // multiple) * multiple
        if self.length > len(dataset) and dataset.classes.ignored is None:
            raise InputError(
                f"{dataset.name} has {len(dataset)} images, no multiple of {multiple}, and no label value for ignored "
                "pixels with which to make up for what lacks."
            )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Example:
        if index < len(self.dataset):
            return self.dataset[index]
        image, label = self.dataset[0]
        return Example(image, np.full_like(label, self.dataset.classes.ignored_or_unused))


def for_keras(batches: grain.IterDataset, steps: int, size: tuple[int, int]) -> Any:
    """Returns what `model.fit` accepts: a `grain.IterDataset`, or on the TensorFlow backend a `tf.data.Dataset` of it.

    Keras makes a `tf.data.Dataset` of a grain data set too. But its own does not know its length, and it autotunes:
    when an epoch ends, TensorFlow waits for the autotuning thread, now and then as long as the epoch took (seen with
    2.21). This one does neither.

    Args:
        batches: of images and labels.
        steps: number of batches.
        size: height and width of images and labels.
    """
    # Keras warns of what is meant to be: that it learns the length of a grain data set only by its end, and that it
    # leaves the shuffling of a tf.data.Dataset to it.
    for expected in ("Your input ran out of data", "`shuffle=True` was passed"):
        warnings.filterwarnings("ignore", message=expected, module="keras")
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    images, labels = tf.TensorSpec((None, *size, 3), tf.uint8), tf.TensorSpec((None, *size), tf.uint8)
    dataset = tf.data.Dataset.from_generator(lambda: batches, output_signature=(images, labels))
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).with_options(options)


class Kept(SegmentationDataset):
    """A data set that keeps its examples as they were read, as far as they fit into some memory.

    Args:
        dataset: what is read.
        memory: bytes that its images and labels may take.
    """

    def __init__(self, dataset: SegmentationDataset, memory: int) -> None:
        self.name = dataset.name
        self.classes = dataset.classes
        self._dataset = dataset
        self._left = memory
        self._examples: dict[int, Example] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Example:
        example = self._examples.get(index)
        if example is None:
            example = self._dataset[index]
            size = example.image.nbytes + example.label.nbytes
            with self._lock:
                if index not in self._examples and size <= self._left:
                    self._left -= size
                    self._examples[index] = example
        return example

    def item_name(self, index: int) -> str:
        return self._dataset.item_name(index)


GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, less whole numbers, fill the range from 0 to 1 evenly, however many there are."""


class OneWindow(grain.transforms.MapWithIndex):
    """Takes one window of image and label; of several, one that the example's index says."""

    def __init__(self, size: tuple[int, int], fill_label: int, fit: Fit) -> None:
        self.size = size
        self.fill_label = fill_label
        self.fit = fit

    def map_with_index(self, index: int, example: Example) -> tuple[np.ndarray, np.ndarray]:
        windows = self.fit.layout(example.label.shape, self.size).windows
        window = windows[int((index + 1) * GOLDEN % 1 * len(windows))]
        return window.image(example.image), window.label(example.label, self.fill_label)


class Augment(grain.transforms.RandomMap):
    """Applies an `Augmentation` and brings image and label to one size, at the scale that a `Fit` says."""

    def __init__(self, augmentation: Augmentation, size: tuple[int, int], fill_label: int, fit: Fit = STRETCH) -> None:
        self.augmentation = augmentation
        self.size = size
        self.fill_label = fill_label
        self.fit = fit

    def random_map(self, example: Example, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        low, high = self.augmentation.scale
        factor = np.exp(rng.uniform(np.log(low), np.log(high)))
        height, width = self.fit.scaled(example.label.shape, self.size)
        scaled = (max(1, round(height * factor)), max(1, round(width * factor)))
        image, label = resize_image(example.image, scaled), resize_label(example.label, scaled)
        within = [(0, scaled[0]), (0, scaled[1])]
        if self.augmentation.rare and rng.random() < self.augmentation.rare:
            within = self._pixel_of_any_class(rng, label)
        corner = [self._corner(rng, *each) for each in zip(scaled, self.size, within, strict=True)]
        image = _cut(image, corner, self.size, 0)
        label = _cut(label, corner, self.size, self.fill_label)
        if self.augmentation.flip and rng.random() < 0.5:
            image, label = cv2.flip(image, 1), cv2.flip(label, 1)
        if self.augmentation.colour:
            image = _change_colours(image, self.augmentation.colour, rng)
        return np.ascontiguousarray(image), np.ascontiguousarray(label)

    @staticmethod
    def _corner(rng: np.random.Generator, have: int, want: int, within: tuple[int, int]) -> int:
        """Draws the start of a window of `want` elements on an axis of `have`, so that it meets the range `within`.

        The start is negative where the window is larger than the axis.
        """
        low, high = sorted((0, have - want))
        return int(rng.integers(max(low, within[0] - want + 1), min(high, within[1] - 1) + 1))

    def _pixel_of_any_class(self, rng: np.random.Generator, label: np.ndarray) -> list[tuple[int, int]]:
        """Row and column of a pixel, each as the range from it to the next, of a class that the label holds."""
        present = [value for value in np.unique(label).tolist() if value != self.fill_label]
        if not present:
            return [(0, label.shape[0]), (0, label.shape[1])]
        places = np.flatnonzero(label == present[rng.integers(len(present))])
        row, column = divmod(int(places[rng.integers(len(places))]), label.shape[1])
        return [(row, row + 1), (column, column + 1)]


def _cut(array: np.ndarray, corner: list[int], size: tuple[int, int], fill: int) -> np.ndarray:
    """Cuts a window out of an image or label, filled where it reaches beyond."""
    (top, left), (height, width) = corner, size
    inside = array[max(top, 0) : top + height, max(left, 0) : left + width]
    if inside.shape[:2] == size:
        return inside
    above, before = max(-top, 0), max(-left, 0)
    below, after = height - above - inside.shape[0], width - before - inside.shape[1]
    return cv2.copyMakeBorder(inside, above, below, before, after, cv2.BORDER_CONSTANT, value=(fill,) * 3)


def _change_colours(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    changed = cv2.addWeighted(image, saturation, cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), 1 - saturation, 0)
    mean = float(grey.mean())
    return cv2.convertScaleAbs(changed, alpha=contrast * brightness, beta=mean * (1 - contrast) * brightness)


class EpochBatches(grain.IterDataset):
    """Cuts an endless data set into epochs. Once the last batch of one is handed out, iterating anew gives the next.

    An iteration that is broken off before, as where Keras looks at the first batches to learn their shape, counts for
    nothing. One that is not asked for its end, as where Keras knows the number of batches, counts all the same, unless
    another has been begun. Where batches are fetched ahead, as for several devices, looking at the first takes more;
    then `start_at` says what comes.

    Attributes:
        steps: batches an epoch.
        epoch: the epoch that the next iteration gives.
    """

    def __init__(self, endless: grain.MapDataset, steps: int, first_epoch: int = 0) -> None:
        super().__init__()
        self._endless = endless
        self.steps = steps
        self.epoch = first_epoch
        self.latest: _EpochIterator | None = None

    def start_at(self, epoch: int) -> None:
        """Makes the next iteration give this epoch, whatever an earlier one still hands out."""
        self.epoch = epoch
        self.latest = None

    def __iter__(self) -> grain.DatasetIterator:
        self.latest = _EpochIterator(self, self._endless, self.epoch)
        return self.latest


class _EpochIterator(grain.DatasetIterator):
    def __init__(self, epochs: EpochBatches, endless: grain.MapDataset, epoch: int) -> None:
        super().__init__()
        self._epochs = epochs
        self._epoch = epoch
        self._handed_out = 0
        start = epoch * epochs.steps
        self._batches = iter(endless[start : start + epochs.steps].to_iter_dataset(READING))

    def __next__(self) -> Any:
        batch = next(self._batches)
        self._handed_out += 1
        if self._handed_out == self._epochs.steps and self._epochs.latest is self:
            self._epochs.epoch = self._epoch + 1
        return batch

    def get_state(self) -> dict[str, Any]:
        return {"epoch": self._epoch, "handed_out": self._handed_out, "batches": self._batches.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        self._epoch = state["epoch"]
        self._handed_out = state["handed_out"]
        self._batches.set_state(state["batches"])
