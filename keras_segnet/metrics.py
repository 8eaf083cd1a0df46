"""Metrics: for `model.compile`, and boundary F1."""

from keras_segnet.evaluation.boundary import BoundaryF1
from keras_segnet.evaluation.metrics import ClassAverageAccuracy, GlobalAccuracy, MeanIoU, SegmentationScores

__all__ = ["BoundaryF1", "ClassAverageAccuracy", "GlobalAccuracy", "MeanIoU", "SegmentationScores"]
