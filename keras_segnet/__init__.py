"""SegNet in Keras: encoder-decoder segmentation with max-pooling indices, from labelled images to a proven edge file.

>>> import keras_segnet
>>> model = keras_segnet.build_segnet(num_classes=11)
"""

from importlib.metadata import version as _version

from keras_segnet import callbacks, data, exporting, inference, layers, losses, metrics, models, optimizers
from keras_segnet.models import build, build_segnet, build_segnet_basic

__version__ = _version("keras-segnet")

__all__ = [
    "build",
    "build_segnet",
    "build_segnet_basic",
    "callbacks",
    "data",
    "exporting",
    "inference",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
]
