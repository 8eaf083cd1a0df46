"""Callbacks for `model.fit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_segnet.catalogue import BALANCING
from keras_segnet.data.dataset import SegmentationDataset
from keras_segnet.data.geometry import STRETCH, Fit
from keras_segnet.data.pipeline import evaluation_batches, steps_per_epoch
from keras_segnet.data.statistics import count_classes, median_frequency_weights
from keras_segnet.errors import InputError, refuse_unknown
from keras_segnet.losses import weighted_parts
from keras_segnet.progress import Progress, silent


class MedianFrequencyBalancing(keras.callbacks.Callback):
    """Weights the loss by median frequency balancing (paper, section 4.1) before training starts.

    Counts the classes of the training set, once for a data set however often it is used, and sets the class weights of
    the model's `WeightedCrossentropy`, or of those in a `SumOfLosses`.

    Args:
        dataset: the training set.
        definition: see `keras_segnet.data.median_frequency_weights`. Default `"presence"`, the paper's.
        exponent: see there too. Default 1.0, the paper's weights; `keras_segnet.train` takes 0.5.
        largest: see there too. Default: no bound, as in the paper; `keras_segnet.train` takes 10.
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
        *,
        largest: float | None = None,
    ) -> None:
        super().__init__()
        refuse_unknown("definition", definition, BALANCING)
        self.dataset = dataset
        self.definition = definition
        self.exponent = exponent
        self.largest = largest
        self.progress = progress or _keras_progress
        self.class_weights: Any = None

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        loss = self.model.loss
        weighted = weighted_parts(loss)
        if not weighted:
            raise InputError(
                f"MedianFrequencyBalancing sets the weights of a WeightedCrossentropy; the model's loss is {loss!r}."
            )
        if weighted[0].num_classes != len(self.dataset.classes):
            raise InputError(
                f"the loss has {weighted[0].num_classes} classes and {self.dataset.name} has "
                f"{len(self.dataset.classes)}."
            )
        statistics = count_classes(self.dataset, self.progress)
        self.class_weights = median_frequency_weights(statistics, self.definition, self.exponent, self.largest)
        for part in weighted:
            part.set_class_weights(self.class_weights)
        # A step that was compiled before may hold the old weights as constants.
        self.model.make_train_function(force=True)


def _keras_progress(items: Any, total: int, description: str) -> Any:
    print(description)
    bar = keras.utils.Progbar(total)
    for item in items:
        yield item
        bar.add(1)


class BatchNormRecalibration(keras.callbacks.Callback):
    """Gives batch normalisation the statistics of the whole training set before each evaluation.

    Caffe's batch normalisation keeps no running averages: the paper evaluates with what a pass over the training set
    gives (section 4.1; compute_bn_statistics.py of SegNet-Tutorial). Here that pass takes place before each validation,
    and at the end of training if no validation came after the last step, and its result replaces the running averages.
    What is saved then has it. Training itself goes on with the statistics of its batches, as ever.

    In the pass, each layer sees its batch as in training: normalised before by the batch's own statistics, with dropout
    on where there is any (as in the released Bayesian nets), but not augmented. A layer's mean is then the mean of its
    batches' means, and its variance the mean of its batches' variances, each unbiased (times n / (n - 1) for n values):
    the released script's rule, and that of Ioffe and Szegedy (algorithm 2). How far the batches' means lie apart is no
    part of it. A last batch of fewer images weighs less; the script fills it up with images that it has seen.

    Args:
        dataset: the training set.
        batch_size: images a batch, those of training: statistics of fewer images are noisier.
        input_size: height and width of the network's input.
        progress: shows how far a pass is. Default: nothing.
        fit: the rule by which an image becomes an input. Default: it is stretched.

    Frozen layers keep what they have. In the list of callbacks, `WeightAveraging` comes before this one.

    Raises:
        ValueError: batch normalisation is in a model within the model, and not in a layer of its own.
    """

    def __init__(
        self,
        dataset: SegmentationDataset,
        batch_size: int,
        input_size: tuple[int, int],
        progress: Progress = silent,
        fit: Fit = STRETCH,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.batch_size = batch_size
        self.fit = fit
        self.input_size = input_size
        self.progress = progress
        self._statistics: _BatchStatistics | None = None
        self._trained_on = True

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._trained_on = True

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self.recalibrate()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        if self._trained_on:
            self.recalibrate()

    def recalibrate(self) -> None:
        """Does the pass with the model as it is."""
        if self._statistics is None:
            # Kept, because its compiled function is.
            self._statistics = _BatchStatistics(self.model)
        if not self._statistics.normalizations:
            return
        batches = evaluation_batches(self.dataset, self.batch_size, self.input_size, fit=self.fit)
        steps = steps_per_epoch(self.dataset, self.batch_size)
        found, counts = [], []
        for images, _ in self.progress(batches, steps, "Recalibrating batch normalisation"):
            found.append(np.concatenate(self._statistics.predict_on_batch(images), axis=-1).astype(np.float64))
            counts.append(len(images))
        means, variances = np.average(found, axis=0, weights=counts)
        start = 0
        for layer in self._statistics.normalizations:
            end = start + layer.moving_mean.shape[0]
            layer.moving_mean.assign(means[start:end])
            layer.moving_variance.assign(variances[start:end])
            start = end
        self._trained_on = False


class _BatchStatistics(keras.Model):
    """Gives the mean and the unbiased variance, float32 `(2, channels)`, of what each batch normalisation is given."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__(name="batch_statistics")
        for layer in model.layers:
            if isinstance(layer, keras.Model):
                raise ValueError(
                    f"{model.name} has the model {layer.name} within it; batch normalisation can only be recalibrated "
                    "where all layers are the model's own."
                )
        self.normalizations = [
            layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        if self.normalizations:
            self.given = keras.Model(model.inputs, [layer.input for layer in self.normalizations])

    def call(self, images: Any) -> list[Any]:
        given = self.given(images, training=True)
        # A model of one output gives no list.
        given = given if isinstance(given, list) else [given]
        return [self._moments(x, layer.axis) for x, layer in zip(given, self.normalizations, strict=True)]

    @staticmethod
    def _moments(x: Any, axis: int) -> Any:
        x = ops.cast(x, "float32")
        axes = [i for i in range(len(x.shape)) if i != axis % len(x.shape)]
        mean, variance = ops.moments(x, axes)
        number = ops.cast(ops.size(x), "float32") / x.shape[axis]
        return ops.stack([mean, variance * number / ops.maximum(number - 1, 1)])


class WeightAveraging(keras.callbacks.Callback):
    """Validates with the averages of the weights that the optimiser keeps (`use_ema=True`), and trains on without them.

    Other than `keras.callbacks.SwapEMAWeights` it puts back what it took to the last bit, so that training is not
    changed by it. `averaged_weights` does the same for other uses, as saving. When training ends, Keras itself leaves
    the averages in the model.
    """

    def __init__(self) -> None:
        super().__init__()
        self._averaged: AbstractContextManager[None] | None = None

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._averaged = averaged_weights(self.model)
        self._averaged.__enter__()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        if self._averaged is not None:
            self._averaged.__exit__(None, None, None)
            self._averaged = None


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Within it, the model has the averages of its weights, if its optimiser keeps any (`use_ema=True`).

    Of several processes that train together all must enter and leave it: with JAX, a variable gets a value when all
    give it one.
    """
    if not model.optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    trained = _copies(variables)
    model.optimizer.finalize_variable_values(variables)
    # Under JAX, weights and averages now share memory, which the next step would give away.
    _assign(variables, _copies(variables))
    try:
        yield
    finally:
        _assign(variables, trained)


def _copies(variables: list[Any]) -> list[np.ndarray]:
    """Values that stay when the variables change; without `np.array` they would be views under PyTorch."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


__all__ = ["BatchNormRecalibration", "MedianFrequencyBalancing", "WeightAveraging", "averaged_weights"]
