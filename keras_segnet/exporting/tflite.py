"""Export to LiteRT (.tflite): builtin ops only, one image, a static size, in several precisions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.catalogue import INTERFACES, PRECISIONS
from keras_segnet.colours import distinct_colours
from keras_segnet.data.dataset import Classes
from keras_segnet.data.geometry import Fit
from keras_segnet.errors import InputError, refuse_unknown
from keras_segnet.exporting.heads import head as head_of
from keras_segnet.exporting.metadata import with_metadata
from keras_segnet.exporting.network import in_float32, require_tensorflow, size_of
from keras_segnet.exporting.parity import ParityReport
from keras_segnet.exporting.quantization import ACTIVATIONS, convert_to_integers, int8_steps_of_pooling
from keras_segnet.exporting.schedule import with_less_memory
from keras_segnet.exporting.tflite_file import TFLiteFile
from keras_segnet.exporting.tracing import trace
from keras_segnet.exporting.writing import check_path, export_through_gate
from keras_segnet.inference.segmenters import KerasSegmenter
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.progress import Progress, silent


def to_tflite(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    precision: str = "float32",
    head: str = "probabilities",
    representative_data: Iterable[np.ndarray] | None = None,
    interface: str = "float32",
    keep_float: list[str] | None = None,
    input_size: tuple[int, int] | None = None,
    classes: Classes | Sequence[str] | None = None,
    images: Sequence[np.ndarray] | None = None,
    fit: Fit | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ParityReport:
    """Exports a network as a .tflite file, and proves it.

    The file takes one image named `image`, RGB 0..255 `(1, height, width, 3)`, and holds builtin ops only: the pooling
    indices are places in the window, made from portable ops.

    Args:
        model: a network of this library, under the TensorFlow backend.
        path: of the file to write, `.tflite`.
        precision: `"float32"` (default); `"float16"`: weights of half the size, which GPUs also compute with;
            `"int8"`: weights and activations of eight bits, the fastest on CPUs and NPUs. What has no int8 kernel
            stays float32 inside: of the networks here, the powers of `preprocessing="lrn"`. `"int16x8"`: weights of
            eight bits, convolutions with activations of sixteen, all else float32; slow, for what loses too much with
            int8.
        head: what comes out. `"probabilities"` (default) or `"logits"`, float32 `(1, height, width, classes)`, or
            `"class_map"`, int32 `(1, height, width)`.
        representative_data: uint8 RGB images of any size, for int8 and int16x8 only, and needed there: the ranges of
            all activations are taken from what the network makes of them. A hundred from the training set are plenty.
        interface: dtype of the file's input and of scores that come out of it, for int8: `"float32"` (default),
            `"int8"` or `"uint8"`, whose input is the bytes of the image as they are. The others have float32. A class
            map is int32 in any case.
        keep_float: names of layers that stay float32 in an int8 or int16x8 file, convolutions mostly; normalisation and
            ReLU behind one belong to it. Default: none. Pooling with indices and unpooling cannot be named.
        input_size: height and width. Default: the model's, where it has fixed ones.
        classes: names of the classes, with their colours as a data set has them (`dataset.classes`) or alone. Programs
            that open the file show them. Default: "class 0", "class 1", ...
        images: uint8 RGB images whose labels the report compares. Default: drawn streets.
        fit: the rule by which images become inputs, which the file tells those who run it. Default: it tells none, and
            they stretch images.
        overwrite: whether a file that is there may be replaced. Default False.
        progress: shows how far calibration and comparison are.

    Returns:
        The comparison with the Keras model.

    Raises:
        InputError: an argument is none of these, the model's size is not known, or `path` is not one to write to.
        ParityError: the file is not the model's, see `check_parity`. Nothing is written then.
        RuntimeError: the backend is not TensorFlow.
    """
    require_tensorflow()
    refuse_unknown("precision", precision, PRECISIONS)
    refuse_unknown("interface", interface, INTERFACES)
    if interface != "float32" and precision != "int8":
        raise InputError(f"`interface` {interface!r} goes with `precision` 'int8'; with {precision!r} it is 'float32'.")
    calibration = [] if representative_data is None else list(representative_data)
    if precision in ACTIVATIONS and not calibration:
        raise InputError(f"`precision` {precision!r} needs `representative_data`: images to measure activations on.")
    if keep_float and precision not in ACTIVATIONS:
        raise InputError(f"`keep_float` goes with `precision` 'int8' or 'int16x8', not with {precision!r}.")
    finish = head_of(head)
    target = check_path(path, ".tflite", overwrite)
    model = in_float32(model)
    reference = KerasSegmenter(model)
    size = size_of(model, input_size, "a .tflite file")
    named = _named(classes, reference.num_classes)
    indexed = [layer.name for layer in model.layers if isinstance(layer, (MaxPoolingWithArgmax2D, MaxUnpooling2D))]
    for layer in keep_float or ():
        refuse_unknown("keep_float", layer, [each.name for each in model.layers if each.name not in indexed])

    def write(partial: Path) -> None:
        steps = None
        if precision == "int8":
            steps = int8_steps_of_pooling(model, calibration, size, progress)
        converter = _converter(model, size, head, finish, steps)
        if precision == "float16":
            import tensorflow as tf

            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        if precision in ACTIVATIONS:
            kept = {*(keep_float or ()), *(indexed if precision == "int16x8" else ())}
            content = convert_to_integers(converter, calibration, size, precision, interface, kept, progress)
        else:
            content = bytes(converter.convert())
        content = with_less_memory(content)
        partial.write_bytes(with_metadata(content, head, precision, reference.num_classes, named, fit))

    return export_through_gate(target, write, model, TFLiteFile, images, progress)


def _named(classes: Classes | Sequence[str] | None, num_classes: int) -> Classes | None:
    if classes is None or isinstance(classes, Classes):
        named = classes
    else:
        named = Classes(tuple(classes), distinct_colours(len(classes)))
    if named is not None and len(named) != num_classes:
        raise InputError(f"`classes` holds {len(named)} names, and the model predicts {num_classes} classes.")
    return named


def _converter(
    model: keras.Model, size: tuple[int, int], head: str, finish: Any, int8_steps: Mapping[str, float] | None
) -> Any:
    import tensorflow as tf

    function = trace(model, (1, *size, 3), head, finish, int8_steps)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter
