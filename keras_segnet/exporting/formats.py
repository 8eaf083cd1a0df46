"""The formats that a network is exported to: a row each, from which the command line, the gate and the tests read."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.errors import InputError, refuse_unknown
from keras_segnet.exporting.network import in_float32
from keras_segnet.exporting.onnx import to_onnx
from keras_segnet.exporting.onnx_file import OnnxFile
from keras_segnet.exporting.parity import Evidence, ExportedFile, ParityError, ParityReport, judge
from keras_segnet.exporting.saved_model import SavedModelFile, to_saved_model
from keras_segnet.exporting.tflite import to_tflite
from keras_segnet.exporting.tflite_file import TFLiteFile
from keras_segnet.exporting.web import to_web
from keras_segnet.inference.segmenters import open_tflite
from keras_segnet.progress import Progress, silent


@dataclass(frozen=True)
class Format:
    """A kind of exported file.

    Attributes:
        suffix: of its files; empty where it is a folder.
        write: exports a model to a path, through the gate. Its keyword arguments are the format's options.
        open: opens a file to be judged; None where files are judged one by one.
    """

    suffix: str
    write: Callable[..., ParityReport]
    open: Callable[[Path], ExportedFile] | None

    @property
    def options(self) -> set[str]:
        """The arguments that not every format accepts."""
        return {*inspect.signature(self.write).parameters} - {*inspect.signature(to_saved_model).parameters}

    def is_int8(self, options: Mapping[str, Any]) -> bool:
        """Whether ranges of activations are measured for an export with these options."""
        measured = inspect.signature(self.write).parameters.get("representative_data")
        return measured is not None and (measured.default is measured.empty or options.get("precision") == "int8")


def _open_tflite(path: Path) -> TFLiteFile:
    open_tflite(path)  # In another process first: a damaged file may end the one that it runs in.
    return TFLiteFile(path)


FORMATS = {
    "saved_model": Format("", to_saved_model, SavedModelFile),
    "tflite": Format(".tflite", to_tflite, _open_tflite),
    "onnx": Format(".onnx", to_onnx, OnnxFile),
    "web": Format("", to_web, None),
}
"""By name."""


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
    for the same input and filters, but for rounding; labels are the model's where its best class leads by more than the
    file's error; and so they are for each class. `keras_segnet.exporting.parity.BOUNDS` has the bounds.

    Args:
        path: a .tflite or .onnx file, or the folder of a SavedModel, as the functions here write them.
        model: the network.
        images: uint8 RGB images of any size, to compare on beside drawn streets and noise. Default: none.
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


def check_options(name: str, given: Collection[str]) -> Format:
    """The format of a name, with options that it has.

    Raises:
        InputError: there is no such format, or an option is one of another format.
    """
    refuse_unknown("format", name, FORMATS)
    for option in sorted({*given} - FORMATS[name].options):
        takers = [other for other, kind in FORMATS.items() if option in kind.options]
        refuse_unknown("options", option, sorted(set().union(*(kind.options for kind in FORMATS.values()))))
        raise InputError(f"`{option}` is for `format` {' or '.join(takers)}, not for {name}.")
    return FORMATS[name]


__all__ = ["FORMATS", "Format", "check_options", "check_parity"]
