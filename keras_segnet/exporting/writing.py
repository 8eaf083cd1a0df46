"""How an exported file comes to its place: written beside it, judged, and moved there if it is the model's."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import keras
import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.exporting.parity import Evidence, ExportedFile, ParityError, ParityReport, judge
from keras_segnet.files import PARTIAL
from keras_segnet.progress import Progress, silent


def export_through_gate(
    path: Path,
    write: Callable[[Path], None],
    model: keras.Model,
    open_file: Callable[[Path], ExportedFile],
    images: Sequence[np.ndarray] | None,
    progress: Progress = silent,
) -> ParityReport:
    """Writes a file beside its place, judges it, and moves it there if it passes.

    Args:
        path: where the file is to be; what is there is replaced (see `check_path`).
        write: exports to the path that it is given.
        model: the network, in float32.
        open_file: opens what was written.
        images: uint8 RGB of any size, whose labels the report compares; if None, those that `parity.Evidence` draws.
        progress: shows how far the comparison is.

    Raises:
        InputError: the disk is full.
        ParityError: the file is not the model's. What was at `path` is there still.
    """
    with partial_path(path) as partial:
        try:
            with quiet_converters():
                write(partial)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
        evidence = Evidence(model, open_file(partial), () if images is None else images, progress)
        report = judge(evidence, partial, path)
        if not report.passed:
            raise ParityError(report, "was not written")
        del evidence
        remove(path)
        os.replace(partial, path)
    return report


def check_path(path: str | os.PathLike[str], suffix: str, overwrite: bool, known_by: str = "saved_model.pb") -> Path:
    """The path that a file is to be written to.

    Args:
        path: that is asked for.
        suffix: of the format; empty for one that is a folder.
        overwrite: whether what is there may be replaced.
        known_by: name of a file that a folder of the format holds.

    Raises:
        InputError: its suffix is that of another format, its folder does not exist, something is there and `overwrite`
            is False, or what is there is of another kind (a folder where a file is to be, or the other way round).
    """
    path = Path(path)
    if path.suffix != suffix and (suffix or path.suffix in (".keras", ".onnx", ".tflite")):
        allowed = f"this format's is {suffix}" if suffix else "this format is a folder, without one"
        raise InputError(f"`output` {path} has the suffix {path.suffix!r}; {allowed}.")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder; {path.name} was to be written there.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; remove it, choose another path, or say `overwrite`.")
    is_own = (path / known_by).is_file() if path.is_dir() else bool(suffix)
    if path.exists() and not is_own:
        raise InputError(f"{path} exists already and is no file of this format; choose another path.")
    return path


@contextlib.contextmanager
def quiet_converters() -> Iterator[None]:
    """Keeps what converters write to standard error from the reader, who is shown the report instead.

    Most comes from C++, some hundred lines on every operation that was fused, straight to the file descriptor. It is
    shown after all if there is an error.
    """
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except (InputError, OSError):
            raise
        except Exception:
            kept.seek(0)
            os.write(before, kept.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)
            logger.setLevel(level)


@contextlib.contextmanager
def partial_path(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; what is left there at the end is removed."""
    partial = path.with_name(f"{path.stem}{PARTIAL}{path.suffix}")
    remove(partial)
    try:
        yield partial
    finally:
        remove(partial)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
