"""Losses for `model.compile`."""

from keras_segnet.training.losses import WeightedCrossentropy

__all__ = ["WeightedCrossentropy"]
