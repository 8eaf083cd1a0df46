"""Layers: pooling with indices, unpooling, input normalisation."""

from keras_segnet.layers.normalization import LocalResponseNormalization
from keras_segnet.layers.pooling import MaxPoolingWithArgmax2D, MaxUnpooling2D, portable_indices

__all__ = ["LocalResponseNormalization", "MaxPoolingWithArgmax2D", "MaxUnpooling2D", "portable_indices"]
