"""Pictures for people: overlays, comparisons, contact sheets, curves, confusion matrices, maps of uncertainty."""

from keras_segnet.pictures.overlays import colourize, comparison, overlay

__all__ = ["colourize", "comparison", "overlay"]
