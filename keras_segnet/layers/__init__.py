"""Layers: pooling with indices, unpooling, input normalisation, a CRF."""

from keras_segnet.layers.crf_as_rnn import CRFasRNN
from keras_segnet.layers.normalization import LocalResponseNormalization
from keras_segnet.layers.pooling import MaxPoolingWithArgmax2D, MaxUnpooling2D, portable_indices

__all__ = ["CRFasRNN", "LocalResponseNormalization", "MaxPoolingWithArgmax2D", "MaxUnpooling2D", "portable_indices"]
