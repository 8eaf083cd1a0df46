"""Labels for folders, lists and videos of any length: decoding, predicting and writing overlap, at constant memory."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import cv2
import numpy as np

from keras_segnet.catalogue import RESULTS
from keras_segnet.data.images import (
    EXTENSIONS,
    MOST_PIXELS,
    read_image,
    read_label,
    refuse_damaged,
    resize_image,
    write_png,
)
from keras_segnet.errors import InputError, refuse_unknown
from keras_segnet.files import read_lines, whole_file
from keras_segnet.inference.segmenters import Labelled, Prediction, Segmenter
from keras_segnet.inference.stream import predict_each
from keras_segnet.pictures.overlays import Paint, overlay
from keras_segnet.pictures.uncertainty import write_uncertainty
from keras_segnet.threads import in_threads

VIDEOS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})
"""Extensions of files that count as videos."""


Frame = tuple[int, np.ndarray]
"""A picture of a video, uint8 RGB `(height, width, 3)`, and its number."""


class Input(NamedTuple):
    """An image or a video, and the name of what is written for it: a path without extension below the output folder."""

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEOS


def find_inputs(paths: Sequence[Path], output: Path) -> list[Input]:
    """The images and videos that some paths mean.

    Args:
        paths: each an image; a video; a folder, with all folders in it; or a .txt file with a path a line, from the
            root or from the list's own folder.
        output: folder of the results; what is in it is no input.

    Returns:
        The inputs in order. The name of each is its path below the folder, or as listed, less what leads out of the
        output folder: `/here/../a/b.png` is named `here/a/b`. Of several paths, the name of what a folder holds begins
        with the folder's.

    Raises:
        InputError: there is nothing at a path, nothing in it, a listed file is missing, two inputs have one name, or
            the folders of inputs and results are one.
    """
    found = []
    for path in paths:
        inside = f"{path.resolve().name}/" if len(paths) > 1 and path.is_dir() else ""
        found += [Input(file, inside + name) for file, name in _find(path, output)]
    if not found:
        raise InputError("`inputs` names no image and no video.")
    by_name: dict[str, Path] = {}
    for file, name in found:
        if name in by_name:
            if by_name[name] == file:
                raise InputError(f"`inputs` has {file} more than once.")
            raise InputError(f"{by_name[name]} and {file} have one name; results are named by it.")
        by_name[name] = file
    return found


def _find(path: Path, output: Path) -> list[Input]:
    if path.is_dir():
        folder, results = (Path(os.path.realpath(each)) for each in (path, output))  # Unlike `resolve`, of loops too.
        if folder == results:
            raise InputError(f"{output} holds the images; results in it would be taken for images the next time.")
        found = [
            Input(file, _name(file.relative_to(path)))
            for file in sorted(path.rglob("*"))
            if file.suffix.lower() in EXTENSIONS | VIDEOS
            and not file.is_dir()
            and not (folder in results.parents and results in Path(os.path.realpath(file)).parents)
        ]
        if not found:
            raise InputError(f"{path} holds no image and no video ({', '.join(sorted(EXTENSIONS | VIDEOS))}).")
    elif path.suffix.lower() == ".txt":
        found = []
        for number, line in read_lines(path, "a list of paths of images"):
            file = path.parent / line
            if not os.path.isfile(file):
                raise InputError(f"{path}, line {number}: there is no file {line}.")
            found.append(Input(file, _name(PurePath(line))))
        if not found:
            raise InputError(f"{path} names no image.")
    elif path.is_file():
        found = [Input(path, path.stem)]
    else:
        raise InputError(
            f"{path} does not exist; an image, a video, a folder of them or a .txt list is expected there."
        )
    return found


def _name(path: PurePath) -> str:
    inside = PurePath(*(part for part in path.parts if part not in (path.anchor, "..")))
    return inside.with_suffix("").as_posix()


def count_frames(inputs: Iterable[Input]) -> int:
    """Images, and frames of videos as far as their heads say."""
    return sum(_video_frames(each.path) if each.is_video else 1 for each in inputs)


def check_inputs(inputs: Iterable[Input]) -> Iterator[tuple[Input, tuple[int, int]]]:
    """Reads images, and opens videos, to see that they can be; gives each that can, with its height and width.

    Raises:
        InputError: one cannot.
    """

    def check(each: Input) -> tuple[Input, tuple[int, int]]:
        if each.is_video:
            video = _open_video(each.path)
            size = int(video.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(video.get(cv2.CAP_PROP_FRAME_WIDTH))
            video.release()
            return each, size
        refuse_damaged(each.path)
        height, width, _ = read_image(each.path).shape
        return each, (height, width)

    return in_threads(check, inputs)


def is_done(each: Input, output: Path, write: str = "both", uncertainty: bool = False) -> bool:
    """Whether the results for an image, or the film for a video, are in the output folder. See `label_all`.

    The masks of a video alone do not tell whether they are all of them. `uncertainty` says whether there is to be a
    picture of an image's uncertainty too.
    """
    if each.is_video:
        return write != "masks" and (output / f"{each.name}_overlay.mp4").is_file()
    kinds = {"both": ["mask", "overlay"], "masks": ["mask"], "overlays": ["overlay"]}[write]
    kinds += ["uncertainty"] * uncertainty
    return all((output / f"{each.name}_{kind}.png").is_file() for kind in kinds)


def label_all(
    segmenter: Segmenter,
    inputs: Iterable[Input],
    output: Path,
    paint: Paint,
    write: str = "both",
    resume: bool = False,
) -> Iterator[str]:
    """Labels images and videos, and writes the results into a folder. Gives the name of each image and frame when done.

    For an image NAME it writes `NAME_mask.png`, grey, whose value is the class, and `NAME_overlay.png`, both of the
    image's own size; from a segmenter that tells how uncertain it is also `NAME_uncertainty.npy` and `.png`, see
    `write_uncertainty`. For a video NAME it writes `NAME_masks/000000.png` and so on, and `NAME_overlay.mp4`. Each file
    is there whole or not at all.

    Args:
        segmenter: the network.
        inputs: of `find_inputs`.
        output: the folder; made if need be.
        paint: how overlays are painted.
        write: "both" (default), "masks" or "overlays".
        resume: read the masks of a video's frames that are there already, instead of labelling the frames.

    Raises:
        InputError: an input cannot be read, a result cannot be written, or `write` is not one of these.
    """
    refuse_unknown("write", write, RESULTS)
    labeller = _Labeller(segmenter, output, paint, write != "overlays", write != "masks", resume)
    # Neighbours of one kind together, so that reading goes on from one image to the next.
    for are_videos, group in itertools.groupby(inputs, key=lambda each: each.is_video):
        if are_videos:
            for video in group:
                yield from labeller.label_video(video)
        else:
            yield from labeller.label_images(group)


class _Labeller:
    def __init__(
        self, segmenter: Segmenter, output: Path, paint: Paint, masks: bool, overlays: bool, resume: bool
    ) -> None:
        self.segmenter = segmenter
        self.output = output
        self.paint = paint
        self.masks = masks
        self.overlays = overlays
        self.resume = resume

    def label_images(self, inputs: Iterable[Input]) -> Iterator[str]:
        def read(each: Input) -> tuple[np.ndarray, tuple[str, np.ndarray]]:
            image = read_image(each.path)
            return image, (each.name, image)

        yield from predict_each(self.segmenter, inputs, read, self._write_image)

    def _write_image(self, content: tuple[str, np.ndarray], prediction: Prediction | Labelled) -> str:
        (name, image), label = content, prediction.label
        (self.output / name).parent.mkdir(parents=True, exist_ok=True)
        if prediction.uncertainty is not None:
            write_uncertainty(prediction.uncertainty, self.output / f"{name}_uncertainty")
        if self.masks:
            write_png(self.output / f"{name}_mask.png", label)
        if self.overlays:
            write_png(self.output / f"{name}_overlay.png", overlay(image, label, *self.paint))
        return name

    def label_video(self, video: Input) -> Iterator[str]:
        picture = self.output / f"{video.name}_overlay.mp4"
        mask_folder = self.output / f"{video.name}_masks"
        (mask_folder if self.masks else picture.parent).mkdir(parents=True, exist_ok=True)

        def read(frame: Frame) -> tuple[np.ndarray, Frame]:
            return frame[1], frame

        def write(frame: Frame, mask: np.ndarray) -> str:
            number, image = frame
            path = mask_folder / f"{number:06d}.png"
            if self.masks:
                write_png(path, mask)
            if film is not None:
                film.append(overlay(image, mask, *self.paint))
            return f"{video.name} {path.stem}"

        def write_prediction(frame: Frame, prediction: Prediction | Labelled) -> str:
            return write(frame, prediction.label)

        def is_known(frame: Frame) -> bool:
            return self.resume and self.masks and (mask_folder / f"{frame[0]:06d}.png").is_file()

        with contextlib.ExitStack() as stack:
            film = None
            if self.overlays:
                film = stack.enter_context(_Film(stack.enter_context(whole_file(picture)), _frame_rate(video.path)))
            for known, frames in itertools.groupby(read_frames(video.path), key=is_known):
                # One worker, because a film takes its frames one after the other.
                if known:
                    masks = ((frame, read_label(mask_folder / f"{frame[0]:06d}.png")) for frame in frames)
                    yield from in_threads(lambda found: write(*found), masks, workers=1)
                else:
                    yield from predict_each(self.segmenter, frames, read, write_prediction, workers=1)


def read_frames(path: Path) -> Iterator[tuple[int, np.ndarray]]:
    """The frames of a video, uint8 RGB `(height, width, 3)`, numbered from 0; all of the size of the first.

    Raises:
        InputError: it is no video that can be read, or it has no frame, or frames of more than `MOST_PIXELS`.
    """
    video = _open_video(path)
    size = None
    # One worker, because a video gives its frames one after the other.
    with contextlib.closing(in_threads(lambda _: video.read(), itertools.count(), workers=1)) as frames:
        for number, (there_is_one, frame) in enumerate(frames):
            if not there_is_one:
                break
            size = size or frame.shape[:2]
            yield number, resize_image(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), size)
    video.release()
    if size is None:
        raise InputError(f"{path} is a video without a frame that can be read.")


def _open_video(path: Path) -> Any:
    try:
        video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    except cv2.error as error:
        raise InputError(f"{path} is no video that can be read: {' '.join(str(error).split())}") from error
    if not video.isOpened():
        raise InputError(f"{path} is no video that can be read.")
    if (pixels := video.get(cv2.CAP_PROP_FRAME_WIDTH) * video.get(cv2.CAP_PROP_FRAME_HEIGHT)) > MOST_PIXELS:
        raise InputError(f"{path} has frames of {pixels:,.0f} pixels; at most {MOST_PIXELS:,} are read.")
    return video


def _video_frames(path: Path) -> int:
    video = _open_video(path)
    frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return max(frames, 0)


def _frame_rate(path: Path) -> float:
    video = _open_video(path)
    rate = video.get(cv2.CAP_PROP_FPS)
    video.release()
    return rate if 0 < rate < 1000 else 25.0


class _Film:
    """An .mp4 that is written frame by frame, and found whole at the end."""

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.rate = rate
        self.frames = 0
        self._writer: Any = None

    def __enter__(self) -> _Film:
        return self

    def append(self, image: np.ndarray) -> None:
        if self._writer is None:
            codec = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self.path), cv2.CAP_FFMPEG, codec, self.rate, image.shape[1::-1])
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.frames += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()
        # OpenCV does not say when the disk is full.
        if kind is None and (not self.path.is_file() or _frames_that_can_be_read(self.path) != self.frames):
            raise OSError(f"OpenCV did not write all of its {self.frames} frames")


def _frames_that_can_be_read(path: Path) -> int:
    try:
        return _video_frames(path)
    except InputError:
        return 0
