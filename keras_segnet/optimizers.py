"""Optimisers that `model.compile` takes."""

from keras_segnet.training.optimizers import ConvolutionMuon

__all__ = ["ConvolutionMuon"]
