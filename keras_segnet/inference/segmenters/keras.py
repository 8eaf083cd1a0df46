"""Keras models in this process, of .keras files or of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.catalogue import KERAS_MODEL, is_trained_network, refuse_missing_model, trained_on
from keras_segnet.errors import InputError
from keras_segnet.files import reading
from keras_segnet.inference.segmenters.base import Segmenter
from keras_segnet.inference.segmenters.contents import classes_and_size


class KerasSegmenter(Segmenter):
    """A Keras model in this process."""

    # On two CPU cores an image of segnet_edge takes a fifth less time so than by itself. A GPU gains more.
    batch_size = 4

    def __init__(self, model: Any) -> None:
        from keras_segnet.models.folding import fold_batch_normalization
        from keras_segnet.models.graph import ends_in_softmax

        self.model = model
        try:
            self.num_classes, self.input_size = classes_and_size(model.input_shape, model.output_shape, {})
        except (ValueError, AttributeError) as error:  # Keras raises the latter for models that are not built.
            raise InputError(f"{model.name} is no segmentation network: {error}.") from error
        self.precision = model.compute_dtype
        self.head = "probabilities" if ends_in_softmax(model) else "logits"
        self._folded = fold_batch_normalization(model)

    def to_input(self, images: np.ndarray) -> np.ndarray:
        return images

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self._folded.predict_on_batch(batch), np.float32)


def load_keras_model(path: Path) -> Any:
    """Loads a segmentation network from a .keras file, or, by its name, one that comes with the package.

    Files are read in Keras's safe mode and without their training state.

    Raises:
        InputError: there is no such file, it is no .keras file, or its network does not map images to class maps.
    """
    from keras_segnet.models.trained import read_keras_file

    if is_trained_network(path):
        from keras_segnet.models import build

        return build(path.name, weights=trained_on(path.name)[0])
    refuse_missing_model(path, KERAS_MODEL)
    model = read_keras_file(path)
    with reading(path, "is no segmentation network"):
        classes_and_size(model.input_shape, model.output_shape, {})
    return model
