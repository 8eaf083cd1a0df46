"""`keras-segnet predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_segnet_cli import screen
from keras_segnet_cli.screen import say


def predict(
    model: Annotated[Path, typer.Argument(help="A .keras, .tflite or .onnx file, or the folder of a SavedModel.")],
    images: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    output: Annotated[Path, typer.Option(help="Folder for masks and overlays; made if need be.")],
) -> None:
    """Label images.

    For each NAME it writes NAME_mask.png (the value is the class) and NAME_overlay.png, at the image's own size.

    Example: `keras-segnet predict runs/first/model.keras holiday.jpg --output labelled`
    """
    from keras_segnet.data.images import list_images, read_image, refuse_damaged, write_png
    from keras_segnet.errors import InputError
    from keras_segnet.inference import load_segmenter, overlay
    from keras_segnet.inference.classes import classes_of

    paths = list_images(images)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; a folder for masks and overlays is expected there.")
    segmenter = load_segmenter(model)
    classes = classes_of(model, segmenter.num_classes)
    for path in screen.progress(paths, len(paths), "Checking images"):
        refuse_damaged(path)
        read_image(path)
    output.mkdir(parents=True, exist_ok=True)
    for path in screen.progress(paths, len(paths), "Labelling"):
        image = read_image(path)
        label = segmenter.label(image)
        write_png(output / f"{path.stem}_mask.png", label)
        write_png(output / f"{path.stem}_overlay.png", overlay(image, label, classes))
    say(f"Wrote a mask and an overlay for {len(paths)} image{'s' if len(paths) > 1 else ''} into {output}.")
