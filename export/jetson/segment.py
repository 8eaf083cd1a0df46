"""Labels what a camera sees, a video or images with a .tflite file of keras-segnet, on the CPU cores of a board.

    python segment.py segnet.tflite 0                            # camera 0 in a window; q ends it
    python segment.py segnet.tflite drive.mp4 --output out.avi   # no window
    python segment.py segnet.tflite images/ --output labelled/   # NAME_mask.png (the class) and NAME_overlay.png

Needs numpy, OpenCV and ai-edge-litert, and nothing of the library that made the file.
"""

from __future__ import annotations

import argparse
import colorsys
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")  # Before OpenCV is imported: what is wrong is said here.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
VIDEOS = {".avi": "MJPG", ".mp4": "mp4v", ".mkv": "MJPG"}  # What may be written, and in which code.
USUAL_RATE = 25.0  # Frames a second of a written video whose source does not say.


class InputError(Exception):
    """One line for the user."""


class Network:
    """A .tflite file in the LiteRT interpreter.

    Takes any precision (float32, or int8 with float32, int8 or uint8 at its ends) and any head (probabilities, logits
    or class map).

    Attributes:
        fit: by which rule images become inputs: "stretch", "pad", "tile" or "auto". This program cuts no image into
            tiles; by the last two rules it stretches.
        names: of the classes, where the file tells them.
        colours: `(256, 3)` BGR, one a class.
        seconds: that each inference took.
    """

    def __init__(self, path: Path, threads: int) -> None:
        if not path.is_file():
            raise InputError(f"{path} does not exist; a .tflite file is expected there.")
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
            (self._input,) = self._interpreter.get_input_details()
            (self._output,) = self._interpreter.get_output_details()
            told = _told_by(path)
            _, self._height, self._width, channels = self._input["shape"].tolist()
            shape = self._output["shape"].tolist()
            if channels != 3 or shape[:3] != [1, self._height, self._width] or len(shape) > 4:
                raise ValueError("it does not take one RGB image and label its pixels")
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} cannot be read as a .tflite file of a segmentation network: {reason}") from None
        self._is_class_map = len(shape) == 3
        self._is_logits = told.get("head") == "logits"
        self._as_input = _quantize(np.arange(256), self._input)
        self.fit = told.get("fit", "stretch")
        self.names = told.get("names", [])
        self.colours = np.zeros((256, 3), np.uint8)
        rgb = told.get("colours") or distinct_colours(int(told.get("classes", 256 if self._is_class_map else shape[3])))
        self.colours[: len(rgb)] = np.array(rgb, np.uint8)[:, ::-1]
        self.seconds: list[float] = []

    def label(self, image: np.ndarray) -> np.ndarray:
        """The class of each pixel of a BGR image, uint8 `(height, width)` at its own size."""
        height, width = image.shape[:2]
        rows, columns = self._height, self._width
        if self.fit == "pad":
            factor = min(rows / height, columns / width)
            rows, columns = max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))
        shrinks = rows < height and columns < width
        small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        below, after = self._height - rows, self._width - columns
        small = cv2.copyMakeBorder(small, 0, below, 0, after, cv2.BORDER_CONSTANT)
        given = self._as_input[cv2.cvtColor(small, cv2.COLOR_BGR2RGB)][None]
        start = time.perf_counter()
        self._interpreter.set_tensor(self._input["index"], given)
        self._interpreter.invoke()
        output = self._interpreter.get_tensor(self._output["index"])[0, :rows, :columns]
        self.seconds.append(time.perf_counter() - start)
        if self._is_class_map:
            return _fit(output.astype(np.uint8), width, height, cv2.INTER_NEAREST_EXACT)
        scores = _dequantize(output, self._output)
        if self._is_logits:
            scores = _softmax(scores)
        return _fit(scores, width, height, cv2.INTER_LINEAR).argmax(axis=-1).astype(np.uint8)


def _told_by(path: Path) -> dict[str, Any]:
    """What the file says of itself: `head`, number of `classes`, and their `names` and `colours`. {} for others."""
    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    for i in range(model.MetadataLength()):
        note = model.Metadata(i)
        if note.Name() == b"keras_segnet":
            return dict(json.loads(model.Buffers(note.Buffer()).DataAsNumpy().tobytes()))
    return {}


def distinct_colours(count: int) -> list[tuple[int, ...]]:
    """RGB colours for classes that have none."""
    hsv = ((i * 0.618034 % 1, 0.75, (0.95, 0.7, 0.5)[i % 3]) for i in range(count))
    return [tuple(round(255 * part) for part in colorsys.hsv_to_rgb(*colour)) for colour in hsv]


def _quantize(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    if not scale:
        return values.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(details["dtype"])


def _dequantize(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    scale, zero_point = details["quantization"]
    return (values.astype(np.float32) - zero_point) * np.float32(scale) if scale else values


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _fit(array: np.ndarray, width: int, height: int, interpolation: int) -> np.ndarray:
    if array.shape[:2] == (height, width):
        return array
    return cv2.resize(array, (width, height), interpolation=interpolation)


# Where frames come from: pairs of a name and a BGR image.

Frames = Iterator[tuple[str, np.ndarray]]


def open_source(source: str) -> tuple[Frames, float, bool]:
    """Frames of a camera (a number), a video, an image or a folder of images; frames a second; whether it is images."""
    path = Path(source)
    if path.is_dir():
        paths = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGES)
        if not paths:
            raise InputError(f"{path} holds no image ({', '.join(IMAGES)}).")
        return _images(paths), 0.0, True
    if path.suffix.lower() in IMAGES and path.is_file():
        return _images([path]), 0.0, True
    is_camera = source.isdecimal()
    if not is_camera and not path.is_file():
        raise InputError(
            f"{path} does not exist; a camera's number, a video, an image or a folder of images is expected."
        )
    capture = cv2.VideoCapture(int(source) if is_camera else source)
    if not capture.isOpened():
        raise InputError(f"camera {source} cannot be opened." if is_camera else f"{path} is no video that can be read.")
    rate = capture.get(cv2.CAP_PROP_FPS)
    return _captured(capture, source), rate if rate > 0 else USUAL_RATE, False


def _images(paths: list[Path]) -> Frames:
    for path in paths:
        image = cv2.imread(str(path))
        if image is None:
            raise InputError(f"{path} is no image that can be read.")
        yield path.stem, image


def _captured(capture: cv2.VideoCapture, source: str) -> Frames:
    count = 0
    try:
        while True:
            read, frame = capture.read()
            if not read:
                break
            yield f"frame_{count:06d}", frame
            count += 1
    finally:
        capture.release()
    if not count:
        raise InputError(f"{source} gave no frame.")


# Where overlays go. Each takes a name, the overlay and the labels, and says whether to go on.

Show = Callable[[str, np.ndarray, np.ndarray], bool]


class Folder:
    def __init__(self, path: Path) -> None:
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file; a folder or a video ({', '.join(VIDEOS)}) is expected there.")
        path.mkdir(parents=True, exist_ok=True)
        self._path = path

    def show(self, name: str, overlay: np.ndarray, label: np.ndarray) -> bool:
        for kind, image in (("overlay", overlay), ("mask", label)):
            path = self._path / f"{name}_{kind}.png"
            partial = path.with_suffix(".partial")
            cv2.imencode(".png", image)[1].tofile(partial)
            os.replace(partial, path)
        return True

    def close(self) -> None:
        pass


class Video:
    """Written beside its place, and moved there when it is closed."""

    def __init__(self, path: Path, rate: float) -> None:
        if not path.parent.is_dir():
            raise InputError(f"{path.parent} is not a folder; {path.name} was to be written there.")
        self._path, self._rate = path, rate
        self._partial = path.with_name(f"{path.stem}.partial{path.suffix}")
        self._writer: cv2.VideoWriter | None = None

    def show(self, name: str, overlay: np.ndarray, label: np.ndarray) -> bool:
        if self._writer is None:
            code = cv2.VideoWriter_fourcc(*VIDEOS[self._path.suffix.lower()])
            self._writer = cv2.VideoWriter(str(self._partial), code, self._rate, overlay.shape[1::-1])
            if not self._writer.isOpened():
                raise InputError(f"{self._path} cannot be written: this OpenCV has no writer for {self._path.suffix}.")
        self._writer.write(overlay)
        return True

    def close(self) -> None:
        if self._writer is not None:
            self._writer.release()
            if self._partial.exists():
                os.replace(self._partial, self._path)


class Window:
    """A window; q ends it. A still image waits for a key, a film does not."""

    TITLE = "segment"

    def __init__(self, still: bool) -> None:
        self._wait = 0 if still else 1
        no_screen = sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
        try:
            if no_screen:
                raise cv2.error
            cv2.namedWindow(self.TITLE, cv2.WINDOW_NORMAL)
        except cv2.error:
            raise InputError("no window can be opened here; give --output FOLDER or --output VIDEO.") from None

    def show(self, name: str, overlay: np.ndarray, label: np.ndarray) -> bool:
        cv2.imshow(self.TITLE, overlay)
        pressed = cv2.waitKey(self._wait) & 0xFF
        return pressed != ord("q") and cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) > 0

    def close(self) -> None:
        cv2.destroyAllWindows()


def open_output(output: Path | None, rate: float, still: bool) -> Folder | Video | Window:
    if output is None:
        return Window(still)
    if output.is_dir() or output.suffix.lower() not in VIDEOS:
        if output.suffix and not output.is_dir():
            raise InputError(f"{output} is neither a folder nor a video that can be written ({', '.join(VIDEOS)}).")
        return Folder(output)
    if still:
        raise InputError(f"{output} is a video; images go to a folder.")
    return Video(output, rate)


def run(network: Network, frames: Frames, show: Show, opacity: float, seconds: list[float]) -> None:
    """Labels frames until there are no more, or q is pressed. Adds the seconds that each frame took to `seconds`."""
    colours = network.colours[None]
    start = told = time.perf_counter()
    for name, frame in frames:
        label = network.label(frame)
        painted = cv2.LUT(cv2.cvtColor(label, cv2.COLOR_GRAY2BGR), colours)
        go_on = show(name, cv2.addWeighted(frame, 1 - opacity, painted, opacity, 0), label)
        now = time.perf_counter()
        seconds.append(now - start)
        if now - told >= 1:
            print(f"{len(seconds)} frames, now {1 / seconds[-1]:.1f} a second", flush=True)
            told = now
        if not go_on:
            break
        start = now


def in_words(what: str, seconds: list[float]) -> str:
    median, most = 1e3 * np.percentile(seconds, [50, 95])
    return f"{what}: median {median:.1f} ms, 95th percentile {most:.1f} ms"


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line instead of two."""
        self.exit(2, f"{self.prog}: {message}\n")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("model", type=Path, help="a .tflite file of keras-segnet")
    parser.add_argument("source", help="a camera's number, a video, an image, or a folder of images")
    parser.add_argument("--output", type=Path, help="video or folder to write, instead of a window")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU cores to use (default: all)")
    parser.add_argument(
        "--opacity", type=float, default=0.5, help="of the classes over the image, 0 to 1 (default 0.5)"
    )
    parsed = parser.parse_args(arguments)
    if parsed.threads < 1:
        parser.error(f"--threads must be at least 1; not {parsed.threads}.")
    if not 0 <= parsed.opacity <= 1:
        parser.error(f"--opacity must lie between 0 and 1; not {parsed.opacity}.")
    return parsed


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    seconds: list[float] = []
    try:
        network = Network(options.model, options.threads)
        frames, rate, still = open_source(options.source)
        output = open_output(options.output, rate, still)
        if network.fit in ("auto", "tile"):
            print("Each frame is shrunk to the network's input; keras-segnet predict cuts large ones into tiles.")
        if network.names:
            print("Classes: " + ", ".join(network.names), flush=True)
        try:
            run(network, frames, output.show, options.opacity, seconds)
        finally:
            output.close()
    except InputError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.")
    if seconds:
        print(f"{len(seconds)} frames in {sum(seconds):.1f} s: {len(seconds) / sum(seconds):.1f} a second")
        print(in_words("Inference", network.seconds))
        print(in_words("Whole frame", seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
