"""Memory of a prediction beside other networks', and of a training step whose batch is taken in parts.

    .venv/bin/python benchmarks/memory.py prediction
    .venv/bin/python benchmarks/memory.py training

The first is of SegNet, the same net without indices, and as a U-Net that keeps whole maps.
"""

from typing import Annotated

import typer
from side_by_side import Contender, available, measure, show

CONTENDERS = [
    Contender("no indices", "with_keras", {"implementation": "none"}),
    Contender("SegNet", "with_keras", {"implementation": "ours"}),
    Contender("U-Net", "with_keras", {"implementation": "unet"}),
]


app = typer.Typer()


@app.command()
def prediction(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is started.")] = 3,
    batch: Annotated[int, typer.Option(min=1, help="Images a prediction.")] = 8,
    width: Annotated[float, typer.Option(help="Factor on the channels.")] = 0.5,
) -> None:
    """Prints by how much the resident memory of a process grows for a prediction at 360x480, at its peak."""
    task = {"task": "memory", "network": "segnet", "size": (360, 480), "batch": batch, "width": width}
    show(f"segnet, width {width:g}, {batch}x360x480", measure(available(CONTENDERS), task, rounds), "MiB")


@app.command()
def training(
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 12,
    parts: Annotated[list[int] | None, typer.Option(help="In which they are taken; may be given again.")] = None,
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
) -> None:
    """Prints by how much memory grows for training steps of SegNet at 360x480, weights and momentum included."""
    contenders = [
        Contender(f"{number} x {batch // number} images", "with_keras", {"parts": number})
        for number in parts or [12, 6, 3]
    ]
    task = {"task": "footprint", "network": "segnet", "size": (360, 480), "batch": batch, "training": True}
    figures = measure(available(contenders), {**task, "precision": precision}, 1)
    show(f"segnet, a step of {batch}x360x480, {precision}", figures, "MB")


if __name__ == "__main__":
    app()
