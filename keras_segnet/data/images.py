"""Reading and writing image files, and resizing. Arrays are uint8, colours RGB."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from keras_segnet.errors import InputError
from keras_segnet.files import whole_file

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
"""Of files that count as images in a folder."""

MOST_PIXELS = 2**28 // 3
"""Of an image that is read: a quarter of a GiB as RGB, the limit that Pillow has. A file of a few bytes may say that it
has a million times as many; it is refused before it is decoded."""

# For formats that Pillow does not know. OpenCV reads it once, when it is loaded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))

import cv2  # noqa: E402


def read_image(path: Path) -> np.ndarray:
    """Reads an image of any kind as uint8 RGB `(height, width, 3)`.

    Raises:
        InputError: there is no such file, or it is no image or a damaged one.
    """
    return cv2.cvtColor(_decode(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def read_label(path: Path) -> np.ndarray:
    """Reads a label image as uint8 `(height, width)`, whose value is the class.

    Raises:
        InputError: there is no such file, it is no image or a damaged one, or it is not 8-bit grey.
    """
    label = _decode(path, cv2.IMREAD_UNCHANGED)
    if label.ndim != 2 or label.dtype != np.uint8:
        channels = 1 if label.ndim == 2 else label.shape[2]
        raise InputError(
            f"{path} has {channels} channel{'s' if channels > 1 else ''} of {label.dtype}; "
            "a label is an 8-bit grey image whose value is the class."
        )
    return label


def _decode(path: Path, mode: int) -> np.ndarray:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; an image file is expected there.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    head = _read_head(path, io.BytesIO(data))
    if head is not None:
        head.close()
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data else None
    except cv2.error as error:  # More pixels than OpenCV takes, and what it did not expect in a damaged file.
        raise InputError(f"{path} is no image that can be read: {' '.join(str(error).split())}") from error
    if decoded is None:
        raise InputError(f"{path} is no image that can be read (it has {len(data)} bytes).")
    return decoded


def _read_head(path: Path, source: Path | io.BytesIO) -> Image.Image | None:
    """What Pillow says of an image before it decodes any of it; None where it does not know the format.

    Raises:
        InputError: the head is damaged, or promises more than `MOST_PIXELS`.
    """
    try:
        image = Image.open(source)
    except (UnidentifiedImageError, FileNotFoundError):
        return None
    except Exception as error:  # Pillow's parsers raise errors of many kinds on damaged files.
        raise InputError(f"{path} is a damaged image: {error}.") from error
    if image.width * image.height > MOST_PIXELS:
        raise InputError(
            f"{path} says that it is {image.height}x{image.width}; at most {MOST_PIXELS:,} pixels are read."
        )
    return image


def refuse_damaged(path: Path) -> None:
    """Raises an `InputError` if the file is a damaged image.

    OpenCV fills what a truncated JPEG lacks with grey and reports no error; Pillow is strict, and says what is wrong.
    """
    head = _read_head(path, path)
    if head is None:
        return  # OpenCV reads formats that Pillow does not know; reading the file says what is missing.
    try:
        with head:
            head.load()
    except Exception as error:  # Pillow's decoders raise errors of many kinds on damaged files.
        raise InputError(f"{path} is a damaged image: {error}.") from error


def list_images(path: Path) -> list[Path]:
    """The image itself, or the images of a folder in order of name.

    Raises:
        InputError: there is nothing at `path`, the folder holds no image, or two of its images have one name.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} does not exist; an image or a folder of images is expected there.")
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in EXTENSIONS)
    if not found:
        raise InputError(f"{path} holds no image ({', '.join(sorted(EXTENSIONS))}).")
    by_stem: dict[str, Path] = {}
    for file in found:
        if file.stem in by_stem:
            raise InputError(f"{by_stem[file.stem]} and {file} have one name; results are named by it.")
        by_stem[file.stem] = file
    return found


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes a PNG, grey `(height, width)` or RGB, beside its place first and then into it."""
    data: Any = cv2.imencode(".png", image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    with whole_file(path) as partial:
        partial.write_bytes(data)


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes to `(height, width)`: averages where it shrinks, interpolates where it grows."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] < image.shape[0] and size[1] < image.shape[1]
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def resize_label(label: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes to `(height, width)` by taking the nearest label."""
    if label.shape == size:
        return label
    return cv2.resize(label, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
