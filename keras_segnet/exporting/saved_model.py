"""Export to a TensorFlow SavedModel, which any TensorFlow program runs without this library."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.exporting.parity import ParityReport, export_through_gate, street_images
from keras_segnet.exporting.tflite import require_tensorflow
from keras_segnet.inference.segmenters import KerasSegmenter, SavedModelSegmenter
from keras_segnet.progress import Progress, silent

LEAST_AGREEMENT = 0.999
"""Share of pixels that must get the Keras model's label."""

SIZE_OF_PROOF = (180, 240)
"""At which a network that takes any size is compared on drawn streets."""


def to_saved_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    images: Sequence[np.ndarray] | None = None,
    progress: Progress = silent,
) -> ParityReport:
    """Exports a network as a SavedModel folder, and proves it.

    Signatures: `serving_default` takes `image`, float32 RGB 0..255 `(batch, height, width, 3)`; `serving_uint8` takes
    the same as uint8. Both return `probabilities`, float32 `(batch, height, width, classes)`, and `class_map`, int32
    `(batch, height, width)`. Height and width are the model's, or any where the model takes any.

    Args:
        model: a network of this library, under the TensorFlow backend.
        path: of the folder to write; nothing may be there.
        images: uint8 RGB images to compare on. Default: four drawn streets.
        progress: shows how far the comparison is.

    Returns:
        The comparison with the Keras model.

    Raises:
        InputError: something is at `path` already, or the folder around it does not exist.
        ParityError: less than 99.9 % of the pixels get the Keras model's label. No folder is left then.
        RuntimeError: the backend is not TensorFlow.
    """
    require_tensorflow()
    reference = KerasSegmenter(model)
    if images is None:
        images = street_images(reference.input_size or SIZE_OF_PROOF)
    return export_through_gate(
        path,
        lambda partial: _write(model, partial),
        reference,
        SavedModelSegmenter,
        _list_ops,
        images,
        LEAST_AGREEMENT,
        progress,
    )


def _write(model: keras.Model, path: Path) -> None:
    import tensorflow as tf

    shape = (None, *model.input_shape[1:])

    def predict(image: Any) -> dict[str, Any]:
        probabilities = model(tf.cast(image, tf.float32), training=False)
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


def _list_ops(path: Path) -> dict[str, int]:
    from tensorflow.core.protobuf import saved_model_pb2

    file = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    library = file.meta_graphs[0].graph_def.library.function
    # Both signatures hold the network; the larger function is it.
    network = max(library, key=lambda function: len(function.node_def))
    return dict(Counter(node.op for node in network.node_def).most_common())
