"""Folders of TensorFlow SavedModels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.data.geometry import Fit
from keras_segnet.files import reading
from keras_segnet.inference.segmenters.base import Segmenter
from keras_segnet.inference.segmenters.contents import NOTE, classes_and_size, parse_contents


class SavedModelSegmenter(Segmenter):
    """A TensorFlow SavedModel, as `keras_segnet.exporting.to_saved_model` writes it.

    Others are accepted whose `serving_default` takes one tensor of images and gives one, under any names; of several
    outputs, `probabilities` is taken.
    """

    def __init__(self, path: Path) -> None:
        import tensorflow as tf

        with reading(path, "cannot be read as a SavedModel of a segmentation network"):
            self._model = tf.saved_model.load(str(path))
            self._signature = self._model.signatures["serving_default"]
            _, inputs = self._signature.structured_input_signature
            outputs = self._signature.structured_outputs
            if len(inputs) != 1 or not (len(outputs) == 1 or OUTPUT in outputs):
                names = " and ".join(", ".join(sorted(each)) or "nothing" for each in (inputs, outputs))
                raise ValueError(f"serving_default takes and gives {names}; one tensor of each is expected")
            ((self._input, taken),) = inputs.items()
            self._output = OUTPUT if OUTPUT in outputs else next(iter(outputs))
            given = outputs[self._output]
            self.num_classes, self.input_size = classes_and_size(_shape(taken), _shape(given), {})
            if (note := path / NOTE).is_file():
                self.fit = Fit.recorded(parse_contents(note.read_text(encoding="utf-8")))
            self._dtype = taken.dtype.as_numpy_dtype
        self._path = path

    def to_input(self, images: np.ndarray) -> np.ndarray:
        return images.astype(self._dtype)

    def infer(self, batch: np.ndarray) -> np.ndarray:
        with reading(self._path, "cannot be run as the SavedModel of a segmentation network"):
            return np.asarray(self._signature(**{self._input: batch})[self._output], np.float32)


OUTPUT = "probabilities"


def _shape(tensor: Any) -> list[int | None] | None:
    """The shape of a tensor, None where not even its rank is known."""
    return None if tensor.shape.rank is None else tensor.shape.as_list()
