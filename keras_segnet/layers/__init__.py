"""Layers: pooling with indices, unpooling, maps brought to a size, input normalisation; and how deconvolutions start."""

from keras_segnet.layers.normalization import LocalResponseNormalization
from keras_segnet.layers.pooling import MaxPoolingWithArgmax2D, MaxUnpooling2D, portable_indices
from keras_segnet.layers.sizes import BroadcastLike, InterpolateLike, ZeroPaddingTo
from keras_segnet.layers.upsampling import BilinearUpsampling, CropLike

__all__ = [
    "BilinearUpsampling",
    "BroadcastLike",
    "CropLike",
    "InterpolateLike",
    "LocalResponseNormalization",
    "MaxPoolingWithArgmax2D",
    "MaxUnpooling2D",
    "ZeroPaddingTo",
    "portable_indices",
]
