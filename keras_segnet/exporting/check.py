"""Judges a file that exists already, whoever wrote it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.exporting.network import in_float32
from keras_segnet.exporting.parity import Evidence, ParityError, ParityReport, judge
from keras_segnet.formats import FORMATS
from keras_segnet.progress import Progress, silent


def check_parity(
    path: str | os.PathLike[str],
    model: keras.Model,
    images: Sequence[np.ndarray] | None = None,
    *,
    progress: Progress = silent,
) -> ParityReport:
    """Judges whether a file is an export of a model, whoever wrote it.

    Four looks, which do not depend on one another: each kernel and bias in the file, dequantised, is the model's after
    folding batch normalisation, to half a step of its own precision; each layer and the head give what the model's give
    for the same input and filters, but for rounding; no more labels differ from the model's than rounding of that size
    explains; and so for each class. They are taken on drawn streets and noise, so the verdict does not depend on
    `images`. `keras_segnet.exporting.parity.BOUNDS` has the bounds.

    Args:
        path: a .tflite or .onnx file, or the folder of a SavedModel, as the functions here write them.
        model: the network.
        images: uint8 RGB images of any size, whose labels the report compares. Default: drawn streets.
        progress: shows how far the comparison is.

    Returns:
        What was found.

    Raises:
        InputError: there is no such file, it cannot be read, or it has other classes than the model.
        ParityError: the file is not the model's; the message says which look failed, and by how much.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; {_expected()} is expected there.")
    opener = next(
        (each.open for each in FORMATS.values() if path.suffix == each.suffix and path.is_dir() != bool(each.suffix)),
        None,
    )
    if opener is None:
        raise InputError(f"{path} is no exported file; expected is {_expected()}.")
    evidence = Evidence(in_float32(model), opener(path), () if images is None else images, progress)
    if evidence.exported.num_classes != evidence.reference.num_classes:
        raise InputError(
            f"{path} predicts {evidence.exported.num_classes} classes and the model {evidence.reference.num_classes}."
        )
    report = judge(evidence, path)
    if not report.passed:
        raise ParityError(report, f"is not an export of {model.name}")
    return report


def _expected() -> str:
    return ", ".join(
        f"a {each.suffix} file" if each.suffix else "the folder of a SavedModel"
        for each in FORMATS.values()
        if each.open
    )


__all__ = ["check_parity"]
