"""Memory that a prediction takes: SegNet, the same net without indices, and as a U-Net that keeps whole maps.

.venv/bin/python benchmarks/memory.py
"""

from typing import Annotated

import typer
from side_by_side import Contender, available, measure, show

CONTENDERS = [
    Contender("no indices", "with_keras", {"implementation": "none"}),
    Contender("SegNet", "with_keras", {"implementation": "ours"}),
    Contender("U-Net", "with_keras", {"implementation": "unet"}),
]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each is started.")] = 3,
    batch: Annotated[int, typer.Option(min=1, help="Images a prediction.")] = 8,
    width: Annotated[float, typer.Option(help="Factor on the channels.")] = 0.5,
) -> None:
    """Prints by how much the resident memory of a process grows for a prediction at 360x480, at its peak."""
    task = {"task": "memory", "network": "segnet", "size": (360, 480), "batch": batch, "width": width}
    show(f"segnet, width {width:g}, {batch}x360x480", measure(available(CONTENDERS), task, rounds), "MiB")


if __name__ == "__main__":
    typer.run(main)
