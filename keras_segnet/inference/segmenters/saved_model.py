"""Folders of TensorFlow SavedModels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.inference.segmenters.base import Segmenter


class SavedModelSegmenter(Segmenter):
    """A TensorFlow SavedModel as `keras_segnet.exporting.to_saved_model` writes it."""

    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        try:
            self._model = tf.saved_model.load(str(path))
            self._signature = self._model.signatures["serving_default"]
            shape = self._signature.structured_outputs["probabilities"].shape
        except Exception as error:  # TensorFlow's loader raises errors of many kinds on damaged folders.
            raise InputError(f"{path} cannot be read as a SavedModel of a segmentation network: {error}") from error
        _, height, width, self.num_classes = shape
        self.input_size = None if None in (height, width) else (height, width)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return self._signature(image=batch)["probabilities"].numpy()
