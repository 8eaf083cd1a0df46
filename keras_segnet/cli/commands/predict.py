"""`keras-segnet predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.catalogue import RESULTS, refuse_missing_model
from keras_segnet.cli.commands.arguments import MODEL_HELP, Crf, FitRule, Overlap, Tile, fail, parse_size
from keras_segnet.cli.screen import Screen, say
from keras_segnet.errors import refuse_unknown


def predict(
    model: Annotated[Path, typer.Argument(help=MODEL_HELP)],
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Images, videos, folders of them (with their folders), or .txt files with a path a line; one or more."
        ),
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
    opacity: Annotated[float, typer.Option(min=0, max=1, help="Of the classes' colours in overlays.")] = 0.5,
    background: Annotated[
        str, typer.Option(help="The class that overlays leave as it is in the image; 'none' paints all.")
    ] = "background",
    fit: FitRule = None,
    tile: Tile = None,
    overlap: Overlap = None,
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
    NAME_overlay.mp4. legend.png says what the colours of overlays mean.

    With --uncertainty, for images and .keras files of networks with dropout, it writes also
    NAME_uncertainty.npy (variance of the class probabilities, averaged over the classes; float32, at the image's own
    size) and NAME_uncertainty.png, a picture.

    Example: `keras-segnet predict runs/first/model.keras holiday.jpg monday tuesday --output labelled`

    Images more than twice as high or wide as the network's input are labelled in overlapping tiles:
    `keras-segnet predict segnet_edge aerial.tif --tile 720x960 --overlap 240`

    With no training: `keras-segnet predict segnet_edge street.jpg` (11 classes of road scenes, trained on CamVid)
    """
    refuse_missing_model(model)
    refuse_unknown("write", write, RESULTS)

    import keras_segnet

    try:
        done = keras_segnet.predict(
            model,
            inputs,
            output,
            write=write,
            resume=resume,
            crf=crf,
            uncertainty=uncertainty,
            samples=samples,
            opacity=opacity,
            background=background,
            fit=fit,
            tile=None if tile is None else parse_size(tile, "tile"),
            overlap=overlap,
            ray=ray,
            display=Screen(),
        )
    except KeyboardInterrupt:
        fail("stopped. Go on with the same command and --resume.", 130)
    for line in done.lines():
        say(line)
