"""How often each class occurs, and the class weights that follow from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from keras_segnet.catalogue import BALANCING
from keras_segnet.data.dataset import SegmentationDataset
from keras_segnet.data.files import OnFault, refuse
from keras_segnet.errors import InputError, refuse_unknown
from keras_segnet.progress import Progress, silent
from keras_segnet.threads import in_threads


@dataclass(frozen=True)
class ClassStatistics:
    """Pixels by class: int64 arrays `(classes + 1,)`, whose last entry is the ignored pixels.

    Attributes:
        pixels: pixels of each class.
        pixels_where_present: all pixels of the images in which the class occurs.
        digest: hexadecimal, of the pixels of all images and labels in their order; "" where it is not known.
    """

    pixels: np.ndarray
    pixels_where_present: np.ndarray
    digest: str = ""


@dataclass(frozen=True)
class Survey:
    """Statistics from reading every example of a data set once.

    Attributes:
        counts: int64 `(examples, classes + 1)`, pixels by class in each example without a fault; the last are ignored.
        sizes: how many images have which height and width.
        digests: of the pixels of each of these examples.
    """

    counts: np.ndarray
    sizes: Counter[tuple[int, int]]
    digests: tuple[bytes, ...] = ()

    @property
    def statistics(self) -> ClassStatistics:
        return ClassStatistics(
            pixels=self.counts.sum(axis=0),
            pixels_where_present=self.counts.sum(axis=1) @ (self.counts > 0),
            digest=hashlib.blake2b(b"".join(self.digests), digest_size=16).hexdigest(),
        )

    @property
    def images_where_present(self) -> np.ndarray:
        """Number of examples in which each class occurs: int64 `(classes + 1,)`."""
        return (self.counts > 0).sum(axis=0)

    def __add__(self, other: Survey) -> Survey:
        """Adds the surveys of two data sets with the same classes."""
        return Survey(
            np.concatenate([self.counts, other.counts]), self.sizes + other.sizes, self.digests + other.digests
        )


def survey(dataset: SegmentationDataset, progress: Progress = silent, on_fault: OnFault = refuse) -> Survey:
    """Reads and checks every example of a data set once, in threads.

    Args:
        dataset: what is read.
        progress: shows how far it is.
        on_fault: is told of everything that is wrong with an example, which is then left out. Default: raises an
            `InputError` at the first fault.
    """
    classes = len(dataset.classes)

    def examine(index: int) -> tuple[np.ndarray, tuple[int, int], bytes] | list[str]:
        example, faults = dataset.examine(index)
        if example is None:
            return faults
        digest = hashlib.blake2b(digest_size=16)
        for part in example:
            digest.update(np.ascontiguousarray(part).data)
        return np.bincount(example.label.ravel(), minlength=256), example.label.shape, digest.digest()

    counts, sizes, digests = [np.zeros((0, 256), np.int64)], Counter[tuple[int, int]](), list[bytes]()
    with closing(in_threads(examine, range(len(dataset)))) as examined:
        for found in progress(examined, len(dataset), f"Reading {dataset.name}"):
            if isinstance(found, list):
                for fault in found:
                    on_fault(fault)
            else:
                counts.append(found[0][None])
                sizes[found[1]] += 1
                digests.append(found[2])
    values = np.concatenate(counts)
    return Survey(np.column_stack([values[:, :classes], values[:, classes:].sum(axis=1)]), sizes, tuple(digests))


_counted: WeakKeyDictionary[SegmentationDataset, ClassStatistics] = WeakKeyDictionary()


def count_classes(dataset: SegmentationDataset, progress: Progress = silent) -> ClassStatistics:
    """Reads and checks every example of a data set once, and counts its pixels. A second call gives the same answer.

    Raises:
        InputError: an image or label cannot be read, or does not suit the other or the classes; see
            `SegmentationDataset.check`.
    """
    if dataset not in _counted:
        _counted[dataset] = survey(dataset, progress).statistics
    return _counted[dataset]


def median_frequency_weights(
    statistics: ClassStatistics, definition: str = "presence", exponent: float = 1.0, largest: float | None = None
) -> np.ndarray:
    """Class weights by median frequency balancing (paper, section 4.1): median of the frequencies over the frequency.

    Args:
        statistics: of the training set.
        definition: what the frequency of a class is.
            `"presence"` (default): its pixels over all pixels of the images in which it occurs, the paper's definition.
            `"presence_with_ignored"`: the same, and the ignored pixels count as one more class in the median.
            `"global"`: its pixels over the labelled pixels of the whole set.
        exponent: power to which the weights are raised. Default 1.0, the paper's weights; 0.5 evens classes out less,
            which costs class average accuracy and gains mean IoU; 0 weighs all classes alike.
        largest: what no weight goes beyond, after the exponent; above 0. Default None: there is no bound, as in the
            paper, and a class of a thousandth of the pixels may count more than a hundred times what others do.

    Returns:
        float64 `(classes,)`. A class that never occurs gets weight 0 and takes no part in the median.

    Raises:
        InputError: the definition is not one of these, `largest` is not above 0, or no pixel is labelled.
    """
    if largest is not None and not largest > 0:
        raise InputError(f"largest must be above 0, or None for no bound; it is {largest}.")
    refuse_unknown("balancing", definition, BALANCING)
    classes = statistics.pixels.size - 1
    if not statistics.pixels[:classes].any():
        raise InputError("the training set has no labelled pixel to count classes by.")
    counted = slice(None) if definition == "presence_with_ignored" else slice(classes)
    pixels = statistics.pixels[counted].astype(np.float64)
    total = pixels.sum() if definition == "global" else statistics.pixels_where_present[counted]
    occurs = pixels > 0
    frequency = pixels[occurs] / np.broadcast_to(total, pixels.shape)[occurs]
    weights = np.zeros_like(pixels)
    weights[occurs] = (np.median(frequency) / frequency) ** exponent
    if largest is not None:
        weights = np.minimum(weights, largest)
    return weights[:classes]
