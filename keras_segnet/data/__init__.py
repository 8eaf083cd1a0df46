"""Labelled images: data sets, class statistics, and batches for `model.fit`.

Every module of this folder is imported here, so each kind of data set registers itself.
"""

import importlib
import pkgutil

from keras_segnet.data.camvid import camvid
from keras_segnet.data.cityscapes import cityscapes
from keras_segnet.data.dataset import Classes, Example, FileDataset, SegmentationDataset
from keras_segnet.data.drawn import street_scenes
from keras_segnet.data.folder import folder, write_folder
from keras_segnet.data.open import available_splits, convert, open_dataset
from keras_segnet.data.pipeline import Augmentation, evaluation_batches, steps_per_epoch, training_batches
from keras_segnet.data.statistics import (
    ClassStatistics,
    Survey,
    count_classes,
    median_frequency_weights,
    survey,
)
from keras_segnet.data.sun_rgbd import sun_rgbd
from keras_segnet.data.voc2012 import voc2012

for _module in pkgutil.walk_packages(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

__all__ = [
    "Augmentation",
    "ClassStatistics",
    "Classes",
    "Example",
    "FileDataset",
    "SegmentationDataset",
    "Survey",
    "available_splits",
    "camvid",
    "cityscapes",
    "convert",
    "count_classes",
    "evaluation_batches",
    "folder",
    "median_frequency_weights",
    "open_dataset",
    "steps_per_epoch",
    "street_scenes",
    "sun_rgbd",
    "survey",
    "training_batches",
    "voc2012",
    "write_folder",
]
