"""The parity gate: an exported file gives the Keras model's labels on real images, or there is no file."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_segnet.data.images import resize_image
from keras_segnet.errors import InputError
from keras_segnet.inference.segmenters import Segmenter
from keras_segnet.inference.timing import time_runs
from keras_segnet.progress import Progress, silent
from keras_segnet.streets import draw_street_scene

TIMED_RUNS = 10


@dataclass(frozen=True)
class ParityReport:
    """How an exported file compares with the Keras model.

    Attributes:
        path: of the file or folder.
        images: number of images that were compared.
        label_agreement: share of pixels with the same label, 0..1.
        largest_difference: largest absolute difference of a probability. Of a class map: 1 if any label differs.
        size: bytes on disk.
        ops: how often each op occurs in the file.
        latency: median seconds for one image, after a run to warm up, on this machine's CPU.
    """

    path: Path
    images: int
    label_agreement: float
    largest_difference: float
    size: int
    ops: dict[str, int]
    latency: float


class ParityError(Exception):
    """The exported file gave other labels than the Keras model, and was not kept. `report` says by how much."""

    def __init__(self, report: ParityReport, least_agreement: float) -> None:
        self.report = report
        super().__init__(
            f"{report.path} was not written: {100 * report.label_agreement:.3f} % of the pixels get the Keras model's "
            f"label, and {100 * least_agreement:.1f} % are required; the largest difference of a probability is "
            f"{report.largest_difference:.2g}."
        )


def street_images(size: tuple[int, int], count: int = 4) -> list[np.ndarray]:
    """Drawn streets, for a comparison where no images are given: uint8 RGB of `size`."""
    return [draw_street_scene(seed, size)[0] for seed in range(count)]


def export_through_gate(
    path: str | os.PathLike[str],
    write: Callable[[Path], None],
    reference: Segmenter,
    open_exported: Callable[[Path], Segmenter],
    list_ops: Callable[[Path], dict[str, int]],
    images: Sequence[np.ndarray],
    least_agreement: float,
    progress: Progress = silent,
) -> ParityReport:
    """Writes a file beside its place, compares it with the Keras model, and moves it there if it passes.

    Args:
        path: where the file is to be; nothing may be there.
        write: exports to the path that it is given.
        reference: the Keras model.
        open_exported: opens what was written.
        list_ops: counts the ops in what was written.
        images: uint8 RGB of any size; they are resized to the network's input.
        least_agreement: share of pixels that must get the Keras model's label.
        progress: shows how far the comparison is.

    Raises:
        InputError: something is at `path` already, its folder does not exist, or the disk is full.
        ParityError: too many labels differ. Nothing is at `path` then.
    """
    path = Path(path)
    if path.exists():
        raise InputError(f"{path} exists already; remove it or choose another path.")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder; {path.name} was to be written there.")
    with _partial_path(path) as partial:
        try:
            with _quiet_tensorflow():
                write(partial)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
        exported = open_exported(partial)
        agreement, difference = compare(reference, exported, images, progress)
        report = ParityReport(
            path=path,
            images=len(images),
            label_agreement=agreement,
            largest_difference=difference,
            size=_size_on_disk(partial),
            ops=list_ops(partial),
            latency=time_one_image(exported, images[0]),
        )
        del exported
        if agreement < least_agreement:
            raise ParityError(report, least_agreement)
        os.replace(partial, path)
    return report


def compare(
    reference: Segmenter, exported: Segmenter, images: Sequence[np.ndarray], progress: Progress = silent
) -> tuple[float, float]:
    """Share of pixels with the same label, and the largest difference of a probability (NaN where one is NaN)."""
    same = total = 0
    largest = 0.0
    for image in progress(images, len(images), "Comparing labels"):
        resized = image if exported.input_size is None else resize_image(image, exported.input_size)
        expected, found = reference.run(resized[None]), exported.run(resized[None])
        same += int((expected.argmax(axis=-1) == found.argmax(axis=-1)).sum())
        total += expected[..., 0].size
        largest = float(np.maximum(largest, np.abs(expected - found).max()))
    # Where anything is NaN, argmax says nothing.
    return (0.0 if np.isnan(largest) else same / total), largest


def time_one_image(segmenter: Segmenter, image: np.ndarray) -> float:
    """Median seconds of the bare network for one image."""
    resized = (image if segmenter.input_size is None else resize_image(image, segmenter.input_size))[None]
    return statistics.median(time_runs(segmenter, segmenter.to_input(resized), TIMED_RUNS))


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Keeps TensorFlow's word about its temporary files from the reader, who is shown the report instead."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _partial_path(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; what is left there at the end is removed."""
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    _remove(partial)
    try:
        yield partial
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _size_on_disk(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )
