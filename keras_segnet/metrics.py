"""Metrics for `model.compile`."""

from keras_segnet.evaluation.metrics import ClassAverageAccuracy, GlobalAccuracy, MeanIoU, SegmentationScores

__all__ = ["ClassAverageAccuracy", "GlobalAccuracy", "MeanIoU", "SegmentationScores"]
