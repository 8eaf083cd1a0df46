"""A trained network at work: segmenters for model files of all kinds, and pictures of what they predict."""

from keras_segnet.inference.overlays import colourize, comparison, overlay
from keras_segnet.inference.segmenter import Segmenter, load_segmenter

__all__ = ["Segmenter", "colourize", "comparison", "load_segmenter", "overlay"]
