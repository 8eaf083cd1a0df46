"""Callbacks for `model.fit`."""

from keras_segnet.training.callbacks import MedianFrequencyBalancing

__all__ = ["MedianFrequencyBalancing"]
