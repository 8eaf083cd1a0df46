"""`keras-segnet predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_segnet_cli import screen
from keras_segnet_cli.commands.arguments import Crf
from keras_segnet_cli.screen import say


def predict(
    model: Annotated[Path, typer.Argument(help="A .keras, .tflite or .onnx file, or the folder of a SavedModel.")],
    images: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    output: Annotated[Path, typer.Option(help="Folder for masks and overlays; made if need be.")],
    crf: Crf = False,
    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Sample with dropout on, and write how unsure the network is.")
    ] = False,
    samples: Annotated[
        int | None, typer.Option(min=1, help="Passes with dropout on, for --uncertainty. [default: 50]")
    ] = None,
) -> None:
    """Label images.

    For each NAME it writes NAME_mask.png (the value is the class) and NAME_overlay.png, at the image's own size. With
    --uncertainty, for .keras files of networks with dropout, also NAME_uncertainty.npy (variance of the class
    probabilities, averaged over the classes; float32, at the image's own size) and NAME_uncertainty.png, a picture.

    Example: `keras-segnet predict runs/first/model.keras holiday.jpg --output labelled`
    """
    import numpy as np

    from keras_segnet.data.images import list_images, read_image, refuse_damaged, write_png
    from keras_segnet.errors import InputError
    from keras_segnet.inference import dense_crf, load_monte_carlo_segmenter, load_segmenter, overlay
    from keras_segnet.inference.classes import classes_of
    from keras_segnet.inference.figures import write_uncertainty
    from keras_segnet.inference.monte_carlo import SAMPLES, MonteCarloSegmenter

    if samples is not None and not uncertainty:
        raise InputError("--samples is for --uncertainty.")
    paths = list_images(images)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; a folder for masks and overlays is expected there.")
    segmenter = load_monte_carlo_segmenter(model, samples or SAMPLES) if uncertainty else load_segmenter(model)
    classes = classes_of(model, segmenter.num_classes)
    for path in screen.progress(paths, len(paths), "Checking images"):
        refuse_damaged(path)
        read_image(path)
    output.mkdir(parents=True, exist_ok=True)
    for path in screen.progress(paths, len(paths), "Labelling"):
        image = read_image(path)
        if isinstance(segmenter, MonteCarloSegmenter):
            probabilities, variance = segmenter.probabilities_and_uncertainty(image)
            write_uncertainty(variance, output / f"{path.stem}_uncertainty")
        else:
            probabilities = segmenter.probabilities(image)
        if crf:
            probabilities = dense_crf(probabilities, image)
        label = probabilities.argmax(axis=-1).astype(np.uint8)
        write_png(output / f"{path.stem}_mask.png", label)
        write_png(output / f"{path.stem}_overlay.png", overlay(image, label, classes))
    written = "a mask, an overlay and an uncertainty map" if uncertainty else "a mask and an overlay"
    say(f"Wrote {written} for {len(paths)} image{'s' if len(paths) > 1 else ''} into {output}.")
