"""`keras-segnet predict`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.cli import screen
from keras_segnet.cli.commands.arguments import MODEL_HELP, Crf, fail
from keras_segnet.cli.screen import say


def predict(
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)],
    images: Annotated[
        Path,
        typer.Argument(help="An image, a video, a folder of them (with its folders), or a .txt with a path a line."),
    ],
    output: Annotated[Path, typer.Option(help="Folder for masks and overlays; made if need be.")] = Path("labelled"),
    write: Annotated[str, typer.Option(help="What to write: masks, overlays, or both.")] = "both",
    resume: Annotated[bool, typer.Option("--resume", help="Leave out what is there already, after a kill.")] = False,
    crf: Crf = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Sample with dropout on, and write how unsure the network is.")
    ] = False,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Passes with dropout on, for --uncertainty. [default: 50]")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Label on all machines of the Ray cluster at this address: 'auto' for the one that this machine is "
            "in, 'local' to start one here (pip install keras-segnet[ray]).",
        ),
    ] = None,
) -> None:
    """Label images and videos.

    For each image NAME it writes NAME_mask.png (the value is the class) and NAME_overlay.png, at the image's own size,
    in the folders that the images are in. For a video NAME it writes NAME_masks/000000.png and so on, and
    NAME_overlay.mp4. With --uncertainty, for images and .keras files of networks with dropout, also
    NAME_uncertainty.npy (variance of the class probabilities, averaged over the classes; float32, at the image's own
    size) and NAME_uncertainty.png, a picture.

    Example: `keras-segnet predict runs/first/model.keras holiday.jpg --output labelled`

    With no training: `keras-segnet predict segnet_edge street.jpg` (11 classes of road scenes, trained on CamVid)
    """
    from keras_segnet.errors import InputError
    from keras_segnet.inference import DenseCRFSegmenter, Segmenter, load_monte_carlo_segmenter, load_segmenter
    from keras_segnet.inference.bulk import RESULTS, check_inputs, count_frames, find_inputs, is_done, label_all
    from keras_segnet.inference.classes import classes_of
    from keras_segnet.inference.monte_carlo import SAMPLES
    from keras_segnet.inference.on_ray import label_on_ray

    if write not in RESULTS:
        raise InputError(f"--write {write}: must be one of {', '.join(RESULTS)}.")
    if samples is not None and not uncertainty:
        raise InputError("--samples is for --uncertainty.")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; a folder for masks and overlays is expected there.")
    found = find_inputs(images, output)
    if uncertainty and any(each.is_video for each in found):
        raise InputError(f"--uncertainty is for images, and {images} has a video.")
    inputs = [each for each in found if not (resume and is_done(each, output, write, uncertainty))]
    if len(inputs) < len(found):
        say(f"{len(found) - len(inputs)} of {len(found)} are labelled already.")

    def load() -> Segmenter:
        segmenter: Segmenter
        segmenter = load_monte_carlo_segmenter(where, samples or SAMPLES) if uncertainty else load_segmenter(where)
        return DenseCRFSegmenter(segmenter) if crf else segmenter

    # Other machines are in other folders.
    where = model.absolute() if model.exists() else model
    segmenter = load()
    classes = classes_of(model, segmenter.num_classes)
    for _ in screen.progress(check_inputs(inputs), len(inputs), "Checking images"):
        pass
    frames, started = 0, time.monotonic()
    try:
        if ray is None:
            labelled, total = label_all(segmenter, inputs, output, classes, write, resume), count_frames(inputs)
        else:
            labelled, total = label_on_ray(ray, load, inputs, output, classes, write, resume), len(inputs)
        for _ in screen.progress(labelled, total, "Labelling", screen.SpeedColumn()):
            frames += 1
    except KeyboardInterrupt:
        fail("stopped. Go on with the same command and --resume.", 130)
    rate = frames / max(time.monotonic() - started, 1e-9)
    kinds = {"both": ["a mask", "an overlay"], "masks": ["a mask"], "overlays": ["an overlay"]}[write]
    kinds += ["an uncertainty map"] * uncertainty
    what = f"{frames} image{'' if frames == 1 else 's'}"
    say(f"Wrote {' and '.join(kinds)} for {what} into {output}, {rate:.1f} a second.")
