"""16-bit files of cameras of fewer bits: white is white, in every file of a folder alike."""

import logging
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_segnet import data
from keras_segnet.data.images import read_image, read_label
from keras_segnet.errors import InputError

RAMP = np.arange(6 * 9, dtype=np.uint16).reshape(6, 9)


def ramp(white: int) -> np.ndarray:
    """From 0 to white."""
    return (RAMP * (white / RAMP.max())).round().astype(np.uint16)


def grey(path: Path) -> np.ndarray:
    image = read_image(path)
    np.testing.assert_array_equal(image[..., 0], image[..., 2])
    return image[..., 0]


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array)
    return path


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_the_largest_value_of_a_folder_tells_its_bits(
    bits: int, extension: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    white = (1 << bits) - 1
    bright = write(tmp_path / f"bright.{extension}", ramp(white - white // 8))
    dark = write(tmp_path / f"dark.{extension}", ramp(white // 50 + 1))
    write(tmp_path / "eight_bits.bmp", np.full((2, 2), 255, np.uint8))
    with caplog.at_level(logging.WARNING):
        for path, array in ((dark, ramp(white // 50 + 1)), (bright, ramp(white - white // 8)), (dark, None)):
            expected = ramp(white // 50 + 1) if array is None else array
            np.testing.assert_allclose(grey(path), expected * 255.0 / white, atol=0.5 + 1e-6)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (bits < 16)  # Once, or there is nothing to say.
    assert all(str(tmp_path) in line and f"{bits} bits" in line for line in said)


def test_folders_are_told_apart(tmp_path: Path) -> None:
    twelve, sixteen = write(tmp_path / "a" / "x.png", ramp(4000)), write(tmp_path / "b" / "x.png", ramp(60_000))
    assert grey(twelve).max() == round(4000 / 4095 * 255) and grey(sixteen).max() == round(60_000 / 257)


def with_sbit(png: bytes, *bits: int) -> bytes:
    body = b"sBIT" + bytes(bits)
    return png[:33] + struct.pack(">I", len(bits)) + body + struct.pack(">I", zlib.crc32(body)) + png[33:]


@pytest.mark.parametrize(
    ("bits", "colours", "largest", "white"),
    [
        ((12,), (), 3000, 4095),  # As many writers do it.
        ((12,), (), 60_000, 65535),  # As the standard has it: stretched.
        ((10, 10, 10), (3,), 1000, 1023),
        ((11, 12, 10, 16), (4,), 100, 4095),  # Alpha says nothing of colours.
        ((16,), (), 300, 65535),
        ((99,), (), 300, 65535),
    ],
)
def test_a_png_that_says_its_bits(
    bits: tuple[int, ...], colours: tuple[int, ...], largest: int, white: int, tmp_path: Path
) -> None:
    array = np.broadcast_to(ramp(largest).reshape(6, 9, *[1] * len(colours)), (6, 9, *colours)).copy()
    path = write(tmp_path / "x.png", array)
    path.write_bytes(with_sbit(path.read_bytes(), *bits))
    np.testing.assert_allclose(grey(path), ramp(largest) * 255.0 / white, atol=0.5 + 1e-6)


@pytest.mark.parametrize("white", [15, 100, 255, 1023, 4095, 65535])
def test_pnm_says_what_is_white(white: int, tmp_path: Path) -> None:
    array = ramp(white // 2)
    path = tmp_path / "x.pgm"
    kind = ">u2" if white > 255 else "u1"
    path.write_bytes(b"P5\n# of a camera\n9 6\n%d\n" % white + array.astype(kind).tobytes())
    np.testing.assert_allclose(grey(path), array * 255.0 / white, atol=0.5 + 1e-6)


def tiff(array: np.ndarray, bits: int, *more: tuple[int, int, int, int]) -> bytes:
    """One strip, packed, most significant bit first."""
    places = (array[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    strip = np.packbits(places.astype(np.uint8).reshape(len(array), -1), axis=1)
    if bits == 16:
        strip = array.astype("<u2")
    content = strip.tobytes()
    (height, width), start = array.shape, 8
    tags = sorted([(256, 3, 1, width), (257, 3, 1, height), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1),
                   (273, 4, 1, start), (277, 3, 1, 1), (278, 3, 1, height),
                   (279, 4, 1, len(content)), *more])  # fmt: skip
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", start + len(content)) + content + table


def test_a_tiff_that_says_its_bits(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    array = ramp(900)
    for content, white in ((tiff(array, 12), 4095), (tiff(array, 16, (281, 3, 1, 16383)), 16383)):
        path.write_bytes(content)
        np.testing.assert_allclose(grey(path), array * 255.0 / white, atol=0.6)


def test_a_folder_of_one_s_own_reads_alike_in_every_split(tmp_path: Path) -> None:
    for index in range(6):
        write(tmp_path / "images" / f"{index}.png", ramp(4095 if index == 3 else 700))
        write(tmp_path / "labels" / f"{index}.png", (RAMP % 2).astype(np.uint8))
    for split in ("train", "val", "test"):
        dataset = data.folder(tmp_path, split)
        for index in range(len(dataset)):
            name = dataset.item_name(index)
            assert dataset[index].image.max() == (255 if name == "3" else 44)
            np.testing.assert_array_equal(dataset[index].image, read_image(tmp_path / "images" / f"{name}.png"))


@pytest.mark.parametrize("channels", [3, 4])
def test_labels_of_8_bit_colours_with_16_bits(channels: int, tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 9, channels)).astype(np.uint16)
    path = write(tmp_path / "x.png", colours * 257)
    np.testing.assert_array_equal(read_label(path), colours[..., 2::-1])
    write(path, colours * 257 + 1 - (colours == 255))
    with pytest.raises(InputError, match=rf"x\.png has {channels} channels of uint16"):
        read_label(path)
