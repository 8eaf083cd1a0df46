"""Layers: pooling with indices, unpooling, upsampling to a size, input and batch normalisation, softmax, a CRF."""

from keras_segnet.layers.batch_normalization import BatchNormalization
from keras_segnet.layers.crf_as_rnn import CRFasRNN
from keras_segnet.layers.normalization import LocalContrastNormalization, LocalResponseNormalization
from keras_segnet.layers.pooling import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.layers.sizes import BroadcastLike, InterpolateLike, ZeroPaddingTo
from keras_segnet.layers.softmax import Softmax
from keras_segnet.layers.upsampling import BilinearUpsampling, CropLike

__all__ = [
    "BatchNormalization",
    "BilinearUpsampling",
    "BroadcastLike",
    "CRFasRNN",
    "CropLike",
    "InterpolateLike",
    "LocalContrastNormalization",
    "LocalResponseNormalization",
    "MaxPoolingWithArgmax2D",
    "MaxUnpooling2D",
    "Softmax",
    "ZeroPaddingTo",
]
