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
            help="Images, videos, folders (searched with their subfolders), or .txt files with one path a line."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Write masks and overlays into this folder.")] = Path("labelled"),
    write: Annotated[str, typer.Option(help="Write masks, overlays, or both.")] = "both",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after an interruption: skip inputs that are already labelled.")
    ] = False,
    crf: Crf = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Sample with dropout on, and also write how uncertain the network is.")
    ] = False,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Make this many passes with dropout on, for --uncertainty. [default: 50]")
    ] = None,
    opacity: Annotated[
        float, typer.Option(min=0, max=1, help="Paint classes in overlays with this opacity, from 0 to 1.")
    ] = 0.5,
    background: Annotated[
        str, typer.Option(help="Leave this class unpainted in overlays; 'none' paints all.")
    ] = "background",
    fit: FitRule = None,
    tile: Tile = None,
    overlap: Overlap = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Label on all machines of the Ray cluster at this address: 'auto' is this machine's cluster, 'local' "
            "starts one here (pip install keras-segnet[ray]).",
        ),
    ] = None,
) -> None:
    """Label images and videos.

    For each image NAME, writes NAME_mask.png (each value is a class) and NAME_overlay.png, at the image's own size, in
    the same subfolders as the inputs. For a video NAME, writes NAME_masks/000000.png and so on, and NAME_overlay.mp4.
    legend.png explains the overlays' colours.

    With --uncertainty, also writes NAME_uncertainty.npy (float32 variance of the class probabilities, averaged over the
    classes, at the image's own size) and the picture NAME_uncertainty.png. This needs images, and a .keras file of a
    network with dropout.

    Example: `keras-segnet predict runs/first/model.keras holiday.jpg monday tuesday --output labelled`

    Images more than twice as high or wide as the network's input are labelled in overlapping tiles:
    `keras-segnet predict segnet_edge aerial.tif --tile 720x960 --overlap 240`

    Without training: `keras-segnet predict segnet_edge street.jpg` (11 classes of road scenes, trained on CamVid)
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
