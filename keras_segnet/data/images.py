"""Reading and writing image files, and resizing. Arrays are uint8, colours RGB."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from keras_segnet.errors import InputError
from keras_segnet.files import reading, whole_file

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})
"""Extensions of files that count as images in a folder."""

MOST_PIXELS = 2**28 // 3
"""Of an image that is read: a quarter of a GiB as RGB, the limit that Pillow has. A file of a few bytes may say that it
has a million times as many; it is refused before it is decoded."""

DAMAGED = "is a damaged image"

# For formats that Pillow does not know. OpenCV reads it once, when it is loaded.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MOST_PIXELS))

import cv2  # noqa: E402

from keras_segnet.data.bit_depth import white_of  # noqa: E402


def read_image(path: Path) -> np.ndarray:
    """Reads an image of any kind as uint8 RGB `(height, width, 3)`.

    Grey images become RGB and transparency is left out. Of 16 bits the range from 0 to white becomes 0..255; white is
    4095 for images of 12 bits, see `keras_segnet.data.bit_depth`.

    Raises:
        InputError: there is no such file, it is no image or a damaged one, or it has neither 8 nor 16 bits.
    """
    data = _read(path)
    head, image = _decode(path, data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path} has pixels of {image.dtype}; an image has 8 or 16 bits a channel.")
    white = white_of(path, data, head, image)
    if white != 255 or image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=255 / white)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_label(path: Path) -> np.ndarray:
    """Reads a label image as it is stored: grey values or palette indices `(height, width)`, or RGB `(..., 3)`; uint8.

    Transparency is left out. RGB with 16 bits is read too where all colours are of 8.

    Raises:
        InputError: there is no such file, it is no image or a damaged one, it is compressed in a way that changes
            values, or it has not 8 bits.
    """
    data = _read(path)
    head = data[:64]
    if head.startswith(b"\xff\xd8\xff") or (head[8:12] == b"WEBP" and b"VP8 " in head):
        kind = "WebP image with loss" if head[8:12] == b"WEBP" else "JPEG image"
        raise InputError(f"{path} is a {kind}, whose compression changes label values; save labels as PNG.")
    label = _palette_indices(path, data)
    if label is None:
        label = _decode(path, data, cv2.IMREAD_UNCHANGED)[1]
    if label.dtype == np.uint16 and label.ndim == 3 and not (label % 257).any():
        label = (label // 257).astype(np.uint8)  # Colours of 8 bits, written with 16.
    if label.dtype != np.uint8:
        channels = 1 if label.ndim == 2 else label.shape[2]
        raise InputError(
            f"{path} has {channels} channel{'s' if channels > 1 else ''} of {label.dtype}; a label has 8 bits: a grey "
            "or palette image whose value is the class, or an RGB image whose colour is (with 16 bits, too, if all "
            "colours are of 8)."
        )
    return label if label.ndim == 2 else cv2.cvtColor(label[..., :3], cv2.COLOR_BGR2RGB)


def read_palette(path: Path) -> np.ndarray | None:
    """The RGB colours of a palette image, uint8 `(colours, 3)`; None if it has no palette, or none can be told."""
    try:
        with Image.open(path) as image:
            if image.mode != "P":
                return None
            image.load()
            palette = image.getpalette("RGB") or []
    except Exception:  # Pillow raises errors of many kinds; whoever reads the pixels says what is wrong.
        return None
    return np.array(palette, np.uint8).reshape(-1, 3)


def _palette_indices(path: Path, data: bytes) -> np.ndarray | None:
    """The indices of a palette image, of which OpenCV gives the colours only; None if it is of another kind."""
    head = _read_head(path, io.BytesIO(data))
    if head is None:
        return None
    with reading(path, DAMAGED), head:
        return np.array(head) if head.mode == "P" else None


def _read(path: Path) -> bytes:
    with reading(path, "cannot be read"):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; an image file is expected there.") from None


def _decode(path: Path, data: bytes, mode: int) -> tuple[Image.Image | None, np.ndarray]:
    head = _read_head(path, io.BytesIO(data))
    if head is not None:
        head.close()
    with reading(path, "is no image that can be read"):
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data else None
    if decoded is None:
        raise InputError(f"{path} is no image that can be read (it has {len(data)} bytes).")
    return head, decoded


def _read_head(path: Path, source: Path | io.BytesIO) -> Image.Image | None:
    """What Pillow says of an image before it decodes any of it; None where it does not know the format.

    Raises:
        InputError: the head is damaged, or promises more than `MOST_PIXELS`.
    """
    with reading(path, DAMAGED):
        try:
            image = Image.open(source)
        except (UnidentifiedImageError, FileNotFoundError):
            return None
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
    with reading(path, DAMAGED), head:
        head.load()


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
