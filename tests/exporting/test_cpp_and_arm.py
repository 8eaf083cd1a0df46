"""The programs of export/ for boards: C++ here, and both on emulated ARM processors, with masks equal to the byte."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import ai_edge_litert
import cv2
import numpy as np
import pytest

from keras_segnet.exporting import to_tflite
from keras_segnet.inference import load_segmenter

EXPORT = Path(__file__).parents[2] / "export"
ARM = Path(os.environ.get("ARM_EMULATOR", "~/.cache/keras-segnet/arm")).expanduser()
PROCESSORS = {"a72": "cortex-a72", "a76": "cortex-a76", "i8mm": "max,sme=off"}
"""A board of 2016, one of 2018, and one whose int8 kernels multiply matrices. SME is emulated wrongly by QEMU 7.2."""

FILES = {
    "uint8": {"precision": "int8", "interface": "uint8"},
    "int8": {"precision": "int8", "interface": "int8", "head": "logits"},
    "class_map": {"precision": "int8", "head": "class_map"},
    "float32": {},
}
SOUND = ("uint8", "class_map")
"""Files for the slower parts of the tests."""


@pytest.fixture(scope="module")
def folder(trained, streets, tmp_path_factory):
    """The files, and a folder of pictures: one of the network's size, a larger one, and a video."""
    folder = tmp_path_factory.mktemp("files")
    for name, options in FILES.items():
        to_tflite(trained, folder / f"{name}.tflite", **options, representative_data=streets, images=streets[:4])
    (folder / "pictures").mkdir()
    cv2.imwrite(str(folder / "pictures" / "same.png"), streets[0])
    cv2.imwrite(str(folder / "pictures" / "large.png"), cv2.resize(streets[1], (150, 100)))
    writer = cv2.VideoWriter(str(folder / "street.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (61, 45))
    for image in streets[:3]:
        writer.write(image)
    writer.release()
    cv2.imwrite(str(folder / "same.ppm"), streets[0][..., ::-1])
    return folder


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def emulator():
    if not (ARM / "qemu-aarch64-static").is_file():
        if "REQUIRE_ARM" in os.environ:
            pytest.fail(f"there is no emulator in {ARM}; make arm-emulator puts one there")
        pytest.skip(f"there is no emulator in {ARM}; make arm-emulator puts one there")
    return [ARM / "qemu-aarch64-static", "-L", ARM / "root", "-cpu"]


def labels_in_cpp(program, folder, name, output):
    """Runs segment.cc's program, whose command begins with `program`."""
    run([*program, folder / f"{name}.tflite", folder / "same.ppm", output / "labels.pgm"])
    return cv2.imread(str(output / "labels.pgm"), cv2.IMREAD_UNCHANGED)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The C++ program for this processor, built as its README says."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    build = tmp_path_factory.mktemp("build")
    run(["cmake", "-S", EXPORT / "cpp", "-B", build, f"-DLITERT={ai_edge_litert.__path__[0]}"])
    run(["cmake", "--build", build])
    return build / "segment"


def test_the_cpp_program_gives_the_librarys_labels(program, folder, streets, tmp_path):
    for name in FILES:
        found = labels_in_cpp([program], folder, name, tmp_path)
        assert np.array_equal(found, load_segmenter(folder / f"{name}.tflite").label(streets[0])), name


@pytest.mark.parametrize(
    ("model", "image", "line"),
    [
        ("missing.tflite", "same.ppm", "missing.tflite cannot be read"),
        ("same.ppm", "same.ppm", "reading the model failed"),
        ("uint8.tflite", "large.ppm", "is 100x150, the network takes 45x61"),
        ("uint8.tflite", "uint8.tflite", "is no binary PPM"),
    ],
)
def test_the_cpp_program_says_what_is_wrong(model, image, line, program, folder, streets, tmp_path):
    cv2.imwrite(str(folder / "large.ppm"), cv2.resize(streets[1], (150, 100)))
    command = [program, folder / model, folder / image, tmp_path / "labels.pgm"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 2
    assert line in done.stderr.splitlines()[-1]
    assert not (tmp_path / "labels.pgm").exists()


# LiteRT 2.3.0's C library ends with an illegal instruction on a Cortex-A72; Python's package has another library.
@pytest.mark.parametrize("processor", ["a76", "i8mm"])
def test_the_cpp_program_on_arm(processor, emulator, folder, streets, tmp_path):
    cross = {
        "PATH": f"{ARM}/cross/usr/bin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{ARM}/cross/usr/lib/x86_64-linux-gnu",
    }
    run(
        [ARM / "cross/usr/bin/aarch64-linux-gnu-g++-12", f"--sysroot={ARM}/cross", "-std=c++17", "-O2",
         EXPORT / "cpp" / "segment.cc", "-o", tmp_path / "segment", "-L", ARM / "site/ai_edge_litert", "-lLiteRt",
         "-Wl,--allow-shlib-undefined"],
        env=cross,
    )  # fmt: skip
    library = f"LD_LIBRARY_PATH={ARM}/site/ai_edge_litert"
    program = [*emulator, PROCESSORS[processor], "-E", library, tmp_path / "segment"]
    for name in SOUND:
        expected = load_segmenter(folder / f"{name}.tflite").label(streets[0])
        assert np.array_equal(labels_in_cpp(program, folder, name, tmp_path), expected), name


def masks(python, name, source, output):
    run([*python, EXPORT / "jetson" / "segment.py", name, source, "--output", output, "--threads", "1"])


@pytest.fixture(scope="module")
def expected(folder):
    """What segment.py writes on this processor."""
    for name in FILES:
        masks([sys.executable], folder / f"{name}.tflite", folder / "pictures", folder / "expected" / name)
    masks([sys.executable], folder / "uint8.tflite", folder / "street.avi", folder / "expected.avi")
    return folder / "expected"


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_python_program_on_arm(processor, emulator, folder, expected, tmp_path):
    python = [*emulator, PROCESSORS[processor], "-E", f"PYTHONPATH={ARM}/site", "-E", f"PYTHONHOME={ARM}/root/usr"]
    python.append(ARM / "root/usr/bin/python3.11")
    for name in FILES if processor == "a76" else SOUND:
        masks(python, folder / f"{name}.tflite", folder / "pictures", tmp_path / name)
        written = sorted(file.name for file in (expected / name).iterdir())
        assert sorted(file.name for file in (tmp_path / name).iterdir()) == written
        for file in written:
            assert (tmp_path / name / file).read_bytes() == (expected / name / file).read_bytes(), (name, file)
    if processor == "a76":
        masks(python, folder / "uint8.tflite", folder / "street.avi", tmp_path / "labelled.avi")
        assert frames(tmp_path / "labelled.avi") == frames(folder / "expected.avi") == 3


def frames(path):
    video = cv2.VideoCapture(str(path))
    count = 0
    while video.read()[0]:
        count += 1
    return count
