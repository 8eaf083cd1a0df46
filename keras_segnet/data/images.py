"""Reading and writing image files, and resizing. Arrays are uint8, colours RGB."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from keras_segnet.errors import InputError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
"""Of files that count as images in a folder."""


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
        data = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; an image file is expected there.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    decoded = cv2.imdecode(data, mode) if data.size else None
    if decoded is None:
        raise InputError(f"{path} is no image that can be read (it has {data.size} bytes).")
    return decoded


def refuse_damaged(path: Path) -> None:
    """Raises an `InputError` if the file is a damaged image.

    OpenCV fills what a truncated JPEG lacks with grey and reports no error; Pillow is strict, and says what is wrong.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except (UnidentifiedImageError, FileNotFoundError):
        return  # OpenCV reads formats that Pillow does not know; reading the file says what is missing.
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
    data = cv2.imencode(".png", image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    partial = path.with_name(path.name + ".partial")
    data.tofile(partial)
    os.replace(partial, path)


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
