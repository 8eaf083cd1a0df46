"""Reading, augmenting and batching at 360x480: ours, a plain tf.data pipeline and a Keras PyDataset in one run.

    .venv/bin/python benchmarks/input_pipeline.py --data CAMVID

Then how long each step of training waits for its batch, with a network of a quarter of the width.
"""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from side_by_side import Contender, console, measure

from keras_segnet.data import street_scenes, write_folder

SIZE = (360, 480)
READERS = ("ours", "ours, decoding each time", "tf.data", "tf.data, cache()", "PyDataset")
LIMIT = "one batch, in memory"


def main(
    data: Annotated[str | None, typer.Option(help="What is read. Default: drawn streets, written as PNG.")] = None,
    images: Annotated[int, typer.Option(min=1, help="How many training images of it.")] = 64,
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 4,
    width: Annotated[float, typer.Option(help="Factor on the channels of the network.")] = 0.25,
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 2,
    epochs: Annotated[int, typer.Option(min=1, help="Passes a turn, after one to warm up.")] = 2,
) -> None:
    """Prints images a second of reading alone, and the share of a training step that is spent waiting."""
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            data = f"{folder}/streets"
            scenes = {split: street_scenes(split, count, SIZE) for split, count in (("train", images), ("val", 1))}
            with console.status("Drawing streets"):
                write_folder(Path(data), scenes)
        task = {"data": data, "images": images, "batch": batch, "size": SIZE, "epochs": epochs}
        alone = measured(READERS, {**task, "width": 0}, rounds)
        training = measured((*READERS, LIMIT), {**task, "width": width}, rounds)
    table = Table(title=f"{images} images, batches of {batch}x360x480", title_justify="left")
    table.add_column("")
    for heading in ("read, images/s", "over ours", f"step at width {width:g}, ms", "waiting, ms", "waiting, %"):
        table.add_column(heading, justify="right")
    for name, step in training.items():
        read = alone.get(name, {}).get("images a second")
        table.add_row(
            name,
            "" if read is None else f"{read:.0f}",
            "" if read is None else f"{read / alone['ours']['images a second']:.2f}",
            f"{step['step, ms']:.0f}",
            f"{step['waiting, ms']:.1f}",
            f"{100 * step['waiting, ms'] / step['step, ms']:.2f}",
        )
    console.print(table)


def measured(readers: tuple[str, ...], task: dict[str, Any], rounds: int) -> dict[str, dict[str, float]]:
    figures = measure([Contender(name, "reading", {"implementation": name}) for name in readers], task, rounds)
    return {name: {key: found.median for key, found in of.items()} for name, of in figures.items()}


if __name__ == "__main__":
    typer.run(main)
