"""Callbacks for `model.fit`."""

from __future__ import annotations

from typing import Any

import keras

from keras_segnet.data.dataset import SegmentationDataset
from keras_segnet.data.statistics import BALANCING, Progress, count_classes, median_frequency_weights
from keras_segnet.errors import InputError
from keras_segnet.training.losses import WeightedCrossentropy


class MedianFrequencyBalancing(keras.callbacks.Callback):
    """Weights the loss by median frequency balancing (paper, section 4.1) before training starts.

    Counts the classes of the training set, once for a data set however often it is used, and sets the class weights of
    the model's `WeightedCrossentropy`.

    Args:
        dataset: the training set.
        definition: see `keras_segnet.data.median_frequency_weights`. Default `"presence"`, the paper's.
        exponent: see there too. Default 1.0, the paper's weights.
        progress: shows how far counting is. Default: Keras's own progress bar.

    Attributes:
        class_weights: float64 `(classes,)`, once training has begun.

    Raises:
        InputError: at the start of training: the data set is faulty, has other classes than the loss, or the model was
            not compiled with a `WeightedCrossentropy`.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        definition: str = "presence",
        exponent: float = 1.0,
        progress: Progress | None = None,
    ) -> None:
        super().__init__()
        if definition not in BALANCING:
            raise InputError(f"definition must be one of {', '.join(BALANCING)}; not {definition!r}.")
        self.dataset = dataset
        self.definition = definition
        self.exponent = exponent
        self.progress = progress or _keras_progress
        self.class_weights: Any = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        loss = self.model.loss
        if not isinstance(loss, WeightedCrossentropy):
            raise InputError(
                f"MedianFrequencyBalancing sets the weights of a WeightedCrossentropy; the model's loss is {loss!r}."
            )
        if loss.num_classes != len(self.dataset.classes):
            raise InputError(
                f"the loss has {loss.num_classes} classes and {self.dataset.name} has {len(self.dataset.classes)}."
            )
        statistics = count_classes(self.dataset, self.progress)
        self.class_weights = median_frequency_weights(statistics, self.definition, self.exponent)
        loss.set_class_weights(self.class_weights)
        # A step that was compiled before may hold the old weights as constants.
        self.model.make_train_function(force=True)


def _keras_progress(items: Any, total: int, description: str) -> Any:
    print(description)
    bar = keras.utils.Progbar(total)
    for item in items:
        yield item
        bar.add(1)


__all__ = ["MedianFrequencyBalancing"]
