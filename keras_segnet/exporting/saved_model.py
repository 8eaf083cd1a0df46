"""Export to a TensorFlow SavedModel, which any TensorFlow program runs without this library."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.data.geometry import Fit
from keras_segnet.exporting.constants import Filters, last_place, match
from keras_segnet.exporting.layerwise import Held
from keras_segnet.exporting.network import in_float32, require_tensorflow
from keras_segnet.exporting.parity import ParityReport
from keras_segnet.exporting.writing import check_path, export_through_gate
from keras_segnet.inference.segmenters import SavedModelSegmenter
from keras_segnet.inference.segmenters.contents import NOTE
from keras_segnet.models.graph import ends_in_softmax
from keras_segnet.progress import Progress, silent


def to_saved_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    images: Sequence[np.ndarray] | None = None,
    fit: Fit | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ParityReport:
    """Exports a network as a SavedModel folder, and proves it.

    Signatures: `serving_default` takes `image`, float32 RGB 0..255 `(batch, height, width, 3)`; `serving_uint8` takes
    the same as uint8. Both return `probabilities`, float32 `(batch, height, width, classes)`, and `class_map`, int32
    `(batch, height, width)`. Height and width are the model's, or any where the model takes any.

    Args:
        model: a network of this library, under the TensorFlow backend.
        path: of the folder to write.
        images: uint8 RGB images whose labels the report compares. Default: drawn streets.
        fit: the rule by which images become inputs, which the file tells those who run it. Default: it tells none, and
            they stretch images.
        overwrite: whether a SavedModel that is there may be replaced. Default False.
        progress: shows how far the comparison is.

    Returns:
        The comparison with the Keras model.

    Raises:
        InputError: `path` is not one to write to.
        ParityError: the folder is not the model's, see `check_parity`. Nothing is written then.
        RuntimeError: the backend is not TensorFlow.
    """
    require_tensorflow()
    target = check_path(path, "", overwrite)
    model = in_float32(model)

    def write(partial: Path) -> None:
        _write(model, partial)
        if fit is not None:
            (partial / NOTE).write_text(json.dumps(fit.record()) + "\n", encoding="utf-8")

    return export_through_gate(target, write, model, SavedModelFile, images, progress)


def _write(model: keras.Model, path: Path) -> None:
    import tensorflow as tf

    gives_logits = not ends_in_softmax(model)
    shape = (None, *model.input_shape[1:])

    def predict(image: Any) -> dict[str, Any]:
        scores = model(tf.cast(image, tf.float32), training=False)
        probabilities = tf.nn.softmax(scores) if gives_logits else scores
        return {
            "probabilities": probabilities,
            "class_map": tf.argmax(probabilities, axis=-1, output_type=tf.int32),
        }

    archive = tf.Module()
    archive.model = model
    archive.predict = tf.function(predict, autograph=False)
    signatures = {
        name: archive.predict.get_concrete_function(tf.TensorSpec(shape, dtype, name="image"))
        for name, dtype in (("serving_default", tf.float32), ("serving_uint8", tf.uint8))
    }
    try:
        tf.saved_model.save(archive, str(path), signatures=signatures)
    except tf.errors.OpError as error:
        # TensorFlow's own kind of error where a file cannot be written: "...PATH; File too large [Op:SaveV2]".
        raise OSError(error.message.rpartition("; ")[2].partition(" [Op")[0]) from error


class SavedModelFile:
    """A SavedModel of `to_saved_model`, opened to be looked into. It has one output, and nothing between is seen.

    Attributes:
        path: of the folder.
        ops: how often each op occurs, most frequent first.
    """

    def __init__(self, path: Path) -> None:
        from tensorflow.core.protobuf import saved_model_pb2

        self.path = path
        self._segmenter = SavedModelSegmenter(path)
        file = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        library = file.meta_graphs[0].graph_def.library.function
        # Both signatures hold the network; the larger function is it.
        network = max(library, key=lambda function: len(function.node_def))
        self.ops: dict[str, int] = dict(Counter(node.op for node in network.node_def).most_common())

    def segmenter(self) -> SavedModelSegmenter:
        """The folder at work, as others use it."""
        return self._segmenter

    def pairs(self, model: keras.Model) -> list[tuple[Filters, Filters | None]]:
        """The variables of a model, each with the folder's."""
        import tensorflow as tf

        saved = tf.train.load_checkpoint(str(self.path / "variables" / "variables"))
        names = [name for name, shape in saved.get_variable_to_shape_map().items() if shape]
        found = [(name, saved.get_tensor(name)) for name in sorted(names)]
        return match(
            [_whole(variable.path, variable.numpy()) for layer in model.layers for variable in layer.weights],
            [_whole(name, values) for name, values in found if values.dtype == np.float32],
        )

    def is_rectified(self, tensor: Any) -> bool:
        """Nothing is known of its tensors."""
        return False

    def named(self) -> list[tuple[Any, str]]:
        """No tensor."""
        return []

    def run(self, image: np.ndarray, wanted: Sequence[Any]) -> tuple[list[Held], Held]:
        """Probabilities for an image `(1, height, width, 3)`."""
        return [], Held(self._segmenter.infer(image.astype(np.float32)), 0.0, -np.inf, np.inf)


def _whole(name: str, values: np.ndarray) -> Filters:
    """A variable, as it is."""
    return Filters(name, values.astype(np.float64), None, last_place(values), np.ones(()))
