"""`keras-segnet demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.cli import screen
from keras_segnet.cli.commands.arguments import fail
from keras_segnet.cli.commands.serve import PORT, on_a_phone
from keras_segnet.cli.screen import Screen, console, say

DEMO_SIZE = (90, 120)
PHOTOGRAPH_SIZE = (360, 480)
"""Height and width of the photographs that the trained network knows."""
DEMO_SCENES = {"train": 200, "val": 40, "test": 40}
DEMO_EPOCHS = 30


def demo(
    output: Annotated[
        Path | None, typer.Option(help="Write into this new folder. [default: runs/demo, or the next free runs/demo-2]")
    ] = None,
) -> None:
    """Train, evaluate and export a small network on drawn streets, with nothing to download.

    Draws a folder of streets, trains a slim SegNet on it, evaluates it, exports it to SavedModel, .tflite and a web
    page, and checks that the files agree. Also writes pictures, some of them labelled by the trained network that comes
    with the package. Takes some minutes on two cores. The web page needs LiteRT.js, which `make web-runtime` downloads;
    without LiteRT.js the page is left out.

    Example: `keras-segnet demo --output runs/demo`
    """
    from keras_segnet.data import open_dataset, street_scenes, write_folder
    from keras_segnet.evaluation.evaluate import evaluate
    from keras_segnet.evaluation.report import write_overlays
    from keras_segnet.exporting import ParityError, export
    from keras_segnet.exporting.web import RUNTIME, missing_of_runtime
    from keras_segnet.inference import load_segmenter
    from keras_segnet.training.train import train

    folder = output or next_free(Path("runs/demo"))
    data = folder / "data"
    with console.status("Drawing streets"):
        scenes = {split: street_scenes(split, count, DEMO_SIZE) for split, count in DEMO_SCENES.items()}
        write_folder(data, scenes)
    say(f"Drew {sum(DEMO_SCENES.values())} streets and their labels into {data}.")
    run = train(
        data,
        output=folder / "run",
        display=Screen(),
        model="segnet",
        width=0.125,
        input_size=DEMO_SIZE,
        epochs=DEMO_EPOCHS,
        balancing_exponent=0.5,
        augment=False,
    )
    assert run is not None
    console.print(screen.scores_table(run.title, run.rows()))

    test = open_dataset(str(data), "test")
    outputs = {"saved_model": folder / "saved_model", "tflite": folder / "segnet.tflite"}
    if not missing_of_runtime(RUNTIME):
        outputs["web"] = folder / "web"
    try:
        for format, path in outputs.items():
            console.print(
                export(
                    run.folder / "model.keras", format=format, output=path, data=data, split="test", display=Screen()
                )
            )
    except ParityError as error:
        fail(str(error), 1)
    found = evaluate(folder / "segnet.tflite", test, display=screen.Screen())
    console.print(screen.scores_table(f"segnet.tflite on {test.name}", found.rows()))
    write_overlays(folder / "segnet_edge", load_segmenter("segnet_edge"), street_scenes("test", 8, PHOTOGRAPH_SIZE))
    say(
        f"What segnet_edge, trained on the photographs of CamVid, makes of drawn streets: {folder / 'segnet_edge'}. It "
        "has seen no drawing before, and hardly a blue sky.\n"
        f"Everything is in {folder}. Look at {run.folder / 'report.md'} and at the pictures beside it.\n"
        f"Label an image: keras-segnet predict {folder / 'segnet.tflite'} IMAGE --output labelled\n"
        "Label a photograph of a street: keras-segnet predict segnet_edge IMAGE"
    )
    if "web" not in outputs:
        say(f"There is no web page: {RUNTIME} does not hold LiteRT.js, which `make web-runtime` fetches with npm.")
        return
    say(
        f"Open the page that labels what a camera sees: keras-segnet serve {outputs['web']}, then http://localhost:{PORT}/"
    )
    for line in on_a_phone(PORT):
        say(f"  {line}")


def next_free(path: Path) -> Path:
    """`path`, or it with the first number from 2 up that makes it new."""
    candidates = [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
    return next(candidate for candidate in candidates if not candidate.exists())
