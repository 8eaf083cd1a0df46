"""Labels images and videos, and says what it did."""

from __future__ import annotations

import html
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_segnet.catalogue import RESULTS
from keras_segnet.data.dataset import Classes
from keras_segnet.data.geometry import Window
from keras_segnet.errors import InputError, refuse_unknown
from keras_segnet.inference.bulk import check_inputs, count_frames, find_inputs, is_done, label_all
from keras_segnet.inference.classes import classes_of
from keras_segnet.inference.monte_carlo import SAMPLES
from keras_segnet.inference.on_ray import label_on_ray
from keras_segnet.inference.open import open_segmenter, said_of_tiles
from keras_segnet.inference.segmenters import Segmenter
from keras_segnet.pictures.legend import draw_legend
from keras_segnet.pictures.overlays import Paint
from keras_segnet.progress import Display, Printed

SQUEEZED = 1.25
"""Ratio of aspect ratios from which an image counts as squeezed: 4:3 into 1:1 does, 4:3 into 3:2 does not."""


@dataclass(frozen=True)
class Predictions:
    """What was written. In Jupyter it shows itself with the colours of the classes.

    Attributes:
        output: the folder.
        names: of the images and of the frames of videos, without the endings `_mask.png` and so on.
        classes: what the values of the masks mean.
        kinds: what was written for each.
        done_before: images and videos that were left out, because their results were there already.
        seconds: that labelling took, reading and writing included.
        squeezed: images whose aspect ratio differs from the network's by `SQUEEZED` or more, and the factor.
        input_size: height and width of the network's input; None where it takes images as they are.
    """

    output: Path
    names: tuple[str, ...]
    classes: Classes
    kinds: tuple[str, ...]
    done_before: int
    seconds: float
    squeezed: dict[str, float]
    input_size: tuple[int, int] | None

    def lines(self) -> list[str]:
        """What there is to say, in sentences."""
        images = f"{len(self.names)} image{'' if len(self.names) == 1 else 's'}"
        rate = len(self.names) / max(self.seconds, 1e-9)
        said = [f"Wrote {' and '.join(self.kinds)} for {images} into {self.output}, {rate:.1f} a second."]
        if self.done_before:
            said.insert(0, f"Labelled already, and left out: {self.done_before}.")
        if self.squeezed and self.input_size is not None:
            name = max(self.squeezed, key=lambda each: self.squeezed[each])
            height, width = self.input_size
            said.append(
                f"{len(self.squeezed)} of them are not of the shape of the network's input, {height}x{width}, and were "
                f"squeezed into it; {name} most, {self.squeezed[name]:.1f} times. Their masks show it: label them in "
                "overlapping parts of that shape (fit tile), or train with fit pad."
            )
        return said

    def _repr_html_(self) -> str:
        colours = "".join(
            f'<li><span style="background:rgb{colour}">&emsp;</span> {html.escape(name)}</li>'
            for name, colour in zip(self.classes.names, self.classes.colours, strict=True)
        )
        return f"<p>{html.escape(' '.join(self.lines()))}</p><ul style='list-style:none'>{colours}</ul>"


def predict(
    model: Any,
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "labelled",
    *,
    write: str = "both",
    resume: bool = False,
    crf: bool = False,
    uncertainty: bool = False,
    samples: int | None = None,
    opacity: float = 0.5,
    background: str = "background",
    classes: Classes | None = None,
    fit: str | None = None,
    tile: tuple[int, int] | None = None,
    overlap: int | None = None,
    ray: str | None = None,
    display: Display | None = None,
) -> Predictions:
    """Labels images and videos, and writes masks and overlays, as `keras-segnet predict` does.

    See `keras_segnet.inference.bulk.label_all` for the files. With overlays, `legend.png` says what the colours mean.

    Args:
        model: a `.keras`, `.tflite` or `.onnx` file, the folder of a SavedModel, the name of a network that comes
            trained, a Keras model, or a `Segmenter`.
        inputs: one or several of these: an image, a video, a folder of them with the folders in it, a .txt with a path
            a line. Of several folders, each one's results are in a folder of its name.
        output: folder of the results; made if need be. Default `"labelled"`.
        write: "both" (default), "masks" or "overlays".
        resume: leave out what is there already, after a kill.
        crf: refine predictions by a dense CRF.
        uncertainty: sample with dropout on, and write how unsure the network is. For images and Keras models.
        samples: passes with dropout on, for `uncertainty`. Default 50, the paper's.
        opacity: of the colours in overlays, from 0 to 1. Default 0.5.
        background: name of the class that overlays leave as it is in the image. Default `"background"`, in small or
            large letters; where no class has that name, all are painted. `"none"` paints all.
        classes: names and colours. Default: those that are written in the file or beside it, else numbers.
        fit: by which rule images become inputs: "stretch" (as a whole, whatever the aspect ratio), "pad" (as a whole,
            with padding), "tile" (in overlapping parts, blended) or "auto" (in parts where an image is more than twice
            as high or wide as the input, else stretched). Default: the rule that the model was trained with; "auto" for
            a model that says none, but "stretch" for a `Segmenter`.
        tile: height and width of the parts, in pixels of the image, each of which becomes an input. Default: the
            input's size, over the image scale of training.
        overlap: pixels that the parts share at least. Default: a quarter of their height and width.
        ray: address of a Ray cluster that does it; see `label_on_ray`. The model must be a path or a name then.
        display: where lines and bars are shown. Default: printed, with bars in Jupyter and in terminals.

    Raises:
        InputError: an argument is not one of these, an input cannot be read, or a result cannot be written.

    Example: `keras_segnet.predict("segnet_edge", ["monday", "tuesday/street.jpg"], output="labelled")`
    """
    display, output = display or Printed(), Path(output)
    paths = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    refuse_unknown("write", write, RESULTS)
    if samples is not None and not uncertainty:
        raise InputError("`samples` is for `uncertainty`.")
    if not 0 <= opacity <= 1:
        raise InputError(f"`opacity` must be from 0 to 1; not {opacity!r}.")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; a folder for masks and overlays is expected there.")
    found = find_inputs([Path(path) for path in paths], output)
    if uncertainty and (videos := [each.path for each in found if each.is_video]):
        raise InputError(f"`uncertainty` is for images, and {videos[0]} is a video.")
    wanted = [each for each in found if not (resume and is_done(each, output, write, uncertainty))]
    is_path = isinstance(model, str | os.PathLike)
    if ray is not None and not is_path:
        raise InputError(f"`ray` needs a path or a name as model, not a {type(model).__name__}.")
    # Other machines are in other folders.
    where = Path(model).absolute() if is_path and Path(model).exists() else model

    def load() -> Segmenter:
        drawn = (samples or SAMPLES) if uncertainty else None
        return open_segmenter(where, samples=drawn, crf=crf, fit=fit, tile=tile, overlap=overlap)

    segmenter = load()
    if classes is None:
        classes = classes_of(Path(model) if is_path else Path(), segmenter.num_classes)
    paint = Paint(classes, opacity, _named(background, classes))
    squeezed, tiled = {}, 0
    for each, size in display(check_inputs(wanted), len(wanted), "Checking images"):
        layout = segmenter.layout(size)
        tiled += len(layout.windows) > 1
        if (factor := _squeeze(layout.windows[0])) >= SQUEEZED:
            squeezed[each.name] = factor
    if said := said_of_tiles(segmenter, tiled, len(wanted)):
        display.say(said)
    started = time.monotonic()
    if ray is None:
        labelled, total = label_all(segmenter, wanted, output, paint, write, resume), count_frames(wanted)
    else:
        labelled, total = label_on_ray(ray, load, wanted, output, paint, write, resume), len(wanted)
    names = tuple(display(labelled, total, "Labelling"))
    if write != "masks" and names:
        draw_legend(classes, output / "legend.png", unpainted=paint.background)
    kinds = {"both": ["a mask", "an overlay"], "masks": ["a mask"], "overlays": ["an overlay"]}[write]
    return Predictions(
        output=output,
        names=names,
        classes=classes,
        kinds=(*kinds, *["an uncertainty map"] * uncertainty),
        done_before=len(found) - len(wanted),
        seconds=time.monotonic() - started,
        squeezed=squeezed,
        input_size=segmenter.input_size,
    )


def _named(background: str, classes: Classes) -> int | None:
    """The class that is the background, or None where all are to be painted."""
    names = [name.casefold() for name in classes.names]
    if background.casefold() in names:
        return names.index(background.casefold())
    if background.casefold() in ("background", "none"):
        return None
    allowed = ", ".join((*classes.names, "none"))
    raise InputError(f"`background` must be one of {allowed}; not {background!r}.")


def _squeeze(window: Window) -> float:
    """Factor, at least 1, by which the aspect ratio of a part of an image changes in the input."""
    change = (window.size[1] / window.size[0]) / (window.content[1] / window.content[0])
    return max(change, 1 / change)
