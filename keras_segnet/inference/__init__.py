"""A trained network at work: segmenters for model files of all kinds, how sure they are, and a CRF that refines."""

from keras_segnet.inference.crf import DenseCRFSegmenter, dense_crf
from keras_segnet.inference.flip import FlipAveraging
from keras_segnet.inference.monte_carlo import (
    MonteCarloSegmenter,
    UncertainPrediction,
    load_monte_carlo_segmenter,
    predict_with_uncertainty,
)
from keras_segnet.inference.open import open_segmenter
from keras_segnet.inference.segmenters import Prediction, Segmenter, load_segmenter
from keras_segnet.inference.stream import predict_each

__all__ = [
    "DenseCRFSegmenter",
    "FlipAveraging",
    "MonteCarloSegmenter",
    "Prediction",
    "Segmenter",
    "UncertainPrediction",
    "dense_crf",
    "load_monte_carlo_segmenter",
    "load_segmenter",
    "open_segmenter",
    "predict_each",
    "predict_with_uncertainty",
]
