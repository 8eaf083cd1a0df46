"""Callbacks for `model.fit`."""

from keras_segnet.training.callbacks import BatchNormRecalibration, MedianFrequencyBalancing, WeightAveraging

__all__ = ["BatchNormRecalibration", "MedianFrequencyBalancing", "WeightAveraging"]
