"""Keras models in this process, of .keras files or of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.files import reading
from keras_segnet.inference.segmenters.base import Segmenter


class KerasSegmenter(Segmenter):
    """A Keras model in this process."""

    # On two CPU cores an image of segnet_edge takes as long in batches of 1, 2, 4 and 8, within 3 %. A GPU gains.
    batch_size = 4

    def __init__(self, model: Any) -> None:
        self.model = model
        _, height, width, self.num_classes = model.output_shape
        self.input_size = None if None in (height, width) else (height, width)
        self.precision = model.compute_dtype

    def to_input(self, images: np.ndarray) -> np.ndarray:
        return images

    def infer(self, batch: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict_on_batch(batch), np.float32)


def load_keras_model(path: Path) -> Any:
    """Loads a segmentation network from a .keras file, in Keras's safe mode and without its training state; or, by its
    name, one that comes with the package.

    Raises:
        InputError: there is no such file, it is no .keras file, or its network does not map images to class maps.
    """
    from keras_segnet.models.trained import read_keras_file

    if is_trained_network(path):
        from keras_segnet.models import NETWORKS, build

        return build(path.name, weights=NETWORKS[path.name].trained_on[0])
    model = read_keras_file(path)
    with reading(path, "cannot be read as a .keras file"):
        taken, shape = model.input_shape, model.output_shape
    if not (isinstance(taken, tuple) and len(taken) == 4 and taken[-1] == 3):
        raise InputError(
            f"{path} is no segmentation network: its input has shape {taken}, not (batch, height, width, 3)."
        )
    if not (isinstance(shape, tuple) and len(shape) == 4 and shape[-1]):
        raise InputError(
            f"{path} is no segmentation network: its output has shape {shape}, not (batch, height, width, classes)."
        )
    return model


def is_trained_network(path: Path) -> bool:
    """Whether `path` is no file but the name of a network of which the package has weights."""
    if path.exists() or path.name != str(path):
        return False
    from keras_segnet.models.trained import trained_on

    return bool(trained_on(path.name))
