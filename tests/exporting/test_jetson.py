"""export/jetson/segment.py, run as it is on a board: on its own, with its three packages, by its command line."""

import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_segnet.colours import distinct_colours
from keras_segnet.data import Classes
from keras_segnet.data.geometry import Fit
from keras_segnet.data.images import read_image
from keras_segnet.exporting import to_tflite
from keras_segnet.inference import load_segmenter
from keras_segnet.pictures import overlay

PROGRAM = Path(__file__).parents[2] / "export" / "jetson" / "segment.py"
FILES = {
    "probabilities": {},
    "logits": {"head": "logits", "precision": "float16"},
    "class_map": {"head": "class_map", "precision": "int8", "interface": "uint8"},
    "int8": {"precision": "int8", "interface": "int8", "fit": Fit("pad")},
}
CLASSES = Classes(tuple(f"thing {i}" for i in range(11)), distinct_colours(11)[::-1])
# As where none of these is installed; what else is imported is in the three packages' own hands.
ALONE = """
import runpy, sys
for name in ("keras", "tensorflow", "keras_segnet", "keras_segnet.cli", "PIL", "rich", "typer", "matplotlib"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start(*arguments):
    command = [sys.executable, "-c", ALONE, PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*arguments):
    process = start(*arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def files(trained, streets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, options in FILES.items():
        named = {"classes": CLASSES} if name == "probabilities" else {}
        to_tflite(
            trained, folder / f"{name}.tflite", **options, **named, representative_data=streets, images=streets
        )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def pictures(streets, tmp_path_factory):
    """Of the network's size, larger, smaller, and wider but lower."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, (width, height) in enumerate([(61, 45), (150, 100), (29, 37), (90, 30)]):
        cv2.imwrite(str(folder / f"street.{number}.png"), cv2.resize(streets[number], (width, height)))
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.mark.parametrize("name", FILES)
def test_masks_and_overlays_of_a_folder_are_the_librarys(name, files, pictures, tmp_path) -> None:
    status, out, err = run(files / f"{name}.tflite", pictures, "--output", tmp_path / "labelled", "--opacity", "0.5")
    assert status == 0, err
    assert ("Classes: thing 0, thing 1, " in out) == (name == "probabilities")
    assert re.search(r"^4 frames in [\d.]+ s: [\d.]+ a second\nInference: median [\d.]+ ms, 95th percentile", out, re.M)
    segmenter = load_segmenter(files / f"{name}.tflite")
    assert len(list((tmp_path / "labelled").iterdir())) == 8
    for number in range(4):
        image = read_image(pictures / f"street.{number}.png")
        mask = cv2.imread(str(tmp_path / "labelled" / f"street.{number}_mask.png"), cv2.IMREAD_UNCHANGED)
        assert mask.dtype == np.uint8 and mask.shape == image.shape[:2]
        agreement = (mask == segmenter.label(image)).mean()
        # A class map is enlarged as it is, where the library interpolates.
        assert agreement == 1 if name != "class_map" or number == 0 else agreement > 0.95
        classes = CLASSES if name == "probabilities" else Classes(CLASSES.names, distinct_colours(11))
        painted = read_image(tmp_path / "labelled" / f"street.{number}_overlay.png")
        expected = overlay(image, mask, classes).astype(int)
        assert np.abs(painted - expected).max() <= 1


def write_video(path: Path, streets, count: int, size=(90, 60)) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(cv2.resize(streets[number % len(streets)], size))
    writer.release()


def frames_of(path: Path) -> list[np.ndarray]:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames


def test_a_video_into_a_video_and_into_a_folder(files, streets, tmp_path) -> None:
    model = files / "probabilities.tflite"
    write_video(tmp_path / "in.avi", streets, 6)
    status, out, err = run(model, tmp_path / "in.avi", "--output", tmp_path / "out.avi", "--threads", "1")
    assert status == 0, err
    assert "6 frames in" in out
    assert {path.name for path in tmp_path.iterdir()} == {"in.avi", "out.avi"}
    assert cv2.VideoCapture(str(tmp_path / "out.avi")).get(cv2.CAP_PROP_FPS) == 12
    status, _, err = run(model, tmp_path / "in.avi", "--output", tmp_path / "frames")
    assert status == 0, err
    found, segmenter = frames_of(tmp_path / "out.avi"), load_segmenter(model)
    assert len(found) == 6
    for number, frame in enumerate(frames_of(tmp_path / "in.avi")):
        image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        label = segmenter.label(image)
        mask = cv2.imread(str(tmp_path / "frames" / f"frame_{number:06d}_mask.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, label)
        difference = cv2.cvtColor(found[number], cv2.COLOR_BGR2RGB) - overlay(image, label, CLASSES).astype(float)
        assert np.abs(difference).mean() < 10  # What the video's compression leaves.


def test_control_c_ends_it_and_leaves_a_whole_video(files, streets, tmp_path) -> None:
    length = 1500  # Labelling them takes long beside what a loaded machine may take to pass the signal on.
    write_video(tmp_path / "in.avi", streets, length, (1280, 720))
    process = start(files / "probabilities.tflite", tmp_path / "in.avi", "--output", tmp_path / "out.avi")
    assert process.stdout.readline().startswith("Classes:")
    assert re.match(r"\d+ frames, now [\d.]+ a second", process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in err
    frames = int(re.search(r"(\d+) frames in", out)[1])
    assert 0 < frames < length
    assert frames <= len(frames_of(tmp_path / "out.avi")) <= frames + 1  # The last may have come while it was written.
    assert not list(tmp_path.glob("*partial*"))


def test_what_cannot_be_used_is_said_in_one_line(files, pictures, tmp_path, monkeypatch, capfd) -> None:
    segment = runpy.run_path(str(PROGRAM))["main"]  # Here: a process each would take long.
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    model, image = files / "probabilities.tflite", pictures / "street.0.png"
    (tmp_path / "broken.tflite").write_bytes(b"TFL3 and no more")
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "broken.avi").write_bytes(b"no video")
    (tmp_path / "empty").mkdir()
    output = ["--output", tmp_path / "out"]
    for arguments, words in [
        ([tmp_path / "none.tflite", image, *output], "none.tflite does not exist"),
        ([tmp_path / "broken.tflite", image, *output], "broken.tflite cannot be read as a .tflite file"),
        ([model, tmp_path / "none", *output], "none does not exist"),
        ([model, tmp_path / "empty", *output], "empty holds no image"),
        ([model, tmp_path / "broken.png", *output], "broken.png is no image that can be read"),
        ([model, tmp_path / "broken.avi", *output], "broken.avi is no video that can be read"),
        ([model, image, "--output", tmp_path / "out.txt"], "neither a folder nor a video"),
        ([model, image, "--output", tmp_path / "out.avi"], "images go to a folder"),
        ([model, image, "--output", image], "neither a folder nor a video"),
        ([model, image], "no window can be opened here; give --output"),
        ([model, image, *output, "--threads", "0"], "--threads must be at least 1; not 0"),
        ([model, image, *output, "--opacity", "2"], "--opacity must lie between 0 and 1; not 2.0"),
        ([model], "the following arguments are required: source"),
    ]:
        try:
            status = segment([str(argument) for argument in arguments])
        except SystemExit as end:  # As argparse does.
            status = end.code
        lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("INFO")]
        assert status == 2 and len(lines) == 1 and words in lines[0], (words, lines)
    status, _, err = run(model, "73", *output)
    assert status == 2 and re.search(r"^segment\.py: camera 73 cannot be opened\.\n\Z", err, re.M)
    assert not list(tmp_path.glob("out.*"))
