"""How many bits of a 16-bit file mean something. Cameras of 10, 12 and 14 bits write files of 16.

Read as 16 bits, a picture of 12 is nearly black: its white is 16 of 255. What white is, is told by the file itself
where it can, and else by the largest value of all such files in its folder, which is the same in training, evaluation
and prediction.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from keras_segnet.threads import in_threads

DEPTHS = (8, 10, 12, 14, 16)
"""Numbers of bits in a sample that cameras and scanners use."""

MOST_NEIGHBOURS = 64
"""Largest number of files of a folder that are inspected, spread evenly over it."""

MAX_SAMPLE_VALUE = 281
"""TIFF's tag of the largest value that a sample can have."""

PNM_HEAD = re.compile(rb"P[2356]\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*(\d+)")

logger = logging.getLogger(__name__)

NOTICE = logging.WARNING + 1
"""A level above the frameworks' warnings, which the command line does not show."""


def white_of(path: Path, data: bytes, head: Any, image: np.ndarray) -> int:
    """The value that means white in an image of 8 or 16 bits.

    Args:
        path: of its file; the files beside it are looked at where it says nothing itself.
        data: what the file holds.
        head: what Pillow says of it, or None where Pillow does not know the format.
        image: its pixels as OpenCV gives them.
    """
    if pnm := PNM_HEAD.match(data[:1024]):
        return max(1, min(int(pnm[1]), 65535))
    if image.dtype == np.uint8:
        return 255
    return _stated(data, head, int(image.max(initial=0))) or _white_of_folder(path.parent, path.suffix.lower())


def _stated(data: bytes, head: Any, largest: int) -> int | None:
    """The value that a PNG or TIFF of 16 bits says is white; None where it says nothing."""
    if data.startswith(b"\x89PNG") and data[24] == 16 and (place := data.find(b"sBIT", 0, 4096)) > 0:
        colours = 3 if data[place - 1] > 2 else 1  # The length of the chunk; alpha comes last.
        bits = max(data[place + 4 : place + 4 + colours])
        # The standard has samples of so many significant bits stretched to 16 bits. Many writers do not stretch them.
        return (1 << bits) - 1 if 0 < bits < 16 and largest < 1 << bits else 65535
    tags = getattr(head, "tag_v2", {})
    if MAX_SAMPLE_VALUE in tags:
        said = tags[MAX_SAMPLE_VALUE]
        return _rounded_up(max(largest, *(said if isinstance(said, tuple) else (said,))))
    # OpenCV stretches samples of 10, 12 and 14 bits that are packed.
    return None if max(tags.get(258, (16,))) == 16 else 65535


def _rounded_up(largest: int) -> int:
    """The largest value of the fewest bits that hold a value.

    >>> _rounded_up(3000), _rounded_up(4096)
    (4095, 16383)
    """
    return next((1 << bits) - 1 for bits in DEPTHS if largest < 1 << bits)


_one_at_a_time = Lock()


def _white_of_folder(folder: Path, suffix: str) -> int:
    with _one_at_a_time:  # So that it is found, and said, once.
        return _found_white_of_folder(folder.resolve(), suffix)


@cache
def _found_white_of_folder(folder: Path, suffix: str) -> int:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == suffix)
    chosen = np.unique(np.linspace(0, len(files) - 1, min(MOST_NEIGHBOURS, len(files))).astype(int))
    largest = max(in_threads(_largest, [files[index] for index in chosen]), default=65535)
    white = _rounded_up(largest)
    if white < 65535:
        logger.log(
            NOTICE, "The 16-bit images in %s go up to %s; they are read as images of %s bits.", folder,
            f"{largest:,}", white.bit_length(),
        )  # fmt: skip
    return white


def _largest(file: Path) -> int:
    try:
        image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except (OSError, cv2.error):  # Whoever reads the file says what is wrong with it.
        return 0
    return int(image[..., :3].max(initial=0)) if image is not None and image.dtype == np.uint16 else 0
