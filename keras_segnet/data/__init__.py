"""Labelled images: data sets, class statistics, and batches for `model.fit`."""

from keras_segnet.data.camvid import camvid
from keras_segnet.data.dataset import Classes, Example, FileDataset, SegmentationDataset
from keras_segnet.data.drawn import street_scenes
from keras_segnet.data.folder import folder, write_folder
from keras_segnet.data.open import available_splits, open_dataset
from keras_segnet.data.pipeline import Augmentation, evaluation_batches, training_batches
from keras_segnet.data.statistics import ClassStatistics, count_classes, median_frequency_weights

__all__ = [
    "Augmentation",
    "ClassStatistics",
    "Classes",
    "Example",
    "FileDataset",
    "SegmentationDataset",
    "available_splits",
    "camvid",
    "count_classes",
    "evaluation_batches",
    "folder",
    "median_frequency_weights",
    "open_dataset",
    "street_scenes",
    "training_batches",
    "write_folder",
]
