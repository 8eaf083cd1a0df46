"""Optimisers for `model.compile`."""

from keras_segnet.training.optimizers import CaffeSGD, ConvolutionMuon

__all__ = ["CaffeSGD", "ConvolutionMuon"]
