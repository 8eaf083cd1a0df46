"""Tensor arena, memory and time of exported files: a network, the same net without indices, and as a U-Net.

.venv/bin/python benchmarks/arena.py
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from side_by_side import WORKERS, beside_first, console, show

IMPLEMENTATIONS = {"no indices": "none", "indices": "ours", "U-Net": "unet"}
PRECISIONS = ("float32", "int8")
SIZE = (360, 480)


def main(
    runs: Annotated[int, typer.Option(min=1, help="Timed runs of each file.")] = 50,
    threads: Annotated[int, typer.Option(min=1, help="Threads that compute.")] = 2,
    width: Annotated[float, typer.Option(help="Factor on the channels.")] = 0.25,
    network: Annotated[str, typer.Option(help="segnet or segnet_basic.")] = "segnet",
) -> None:
    """Prints what .tflite files of one image of 360x480 take, in float32 and int8, and ratios to no indices.

    They give logits, in int8 as int8: a map of probabilities in float32 would be the largest of all.
    """
    from keras_segnet.benchmarking import benchmark

    with tempfile.TemporaryDirectory() as folder:
        files = {
            (precision, name): Path(folder) / f"{implementation}_{precision}.tflite"
            for precision in PRECISIONS
            for name, implementation in IMPLEMENTATIONS.items()
        }
        for (precision, name), path in track(files.items(), "Exporting", console=console):
            export(network, IMPLEMENTATIONS[name], width, precision, path)
        with console.status("Taking turns"):
            found = dict(zip(files, benchmark(list(files.values()), runs=runs, threads=threads), strict=True))
    for precision in PRECISIONS:
        ours = {name: found[precision, name] for name in IMPLEMENTATIONS}
        title = f"{network}, width {width:g}, 1x360x480, {precision}"
        show(
            title,
            beside_first(
                {name: {"arena": [it.arena / 2**20], "memory": [it.memory / 2**20]} for name, it in ours.items()}
            ),
            "MiB",
        )
        show(
            f"{title}, {threads} threads",
            beside_first(
                {name: {"median": [1e3 * it.median], "95th percentile": [1e3 * it.p95]} for name, it in ours.items()}
            ),
            "ms",
        )


def export(network: str, implementation: str, width: float, precision: str, path: Path) -> None:
    """Writes one network, untrained: that changes neither its memory nor its time."""
    sys.path.insert(0, str(WORKERS))
    from with_keras import build

    from keras_segnet.exporting import to_tflite
    from keras_segnet.exporting.parity import street_images

    images = street_images(SIZE)
    model = build(network, implementation, SIZE, width)
    options = {"interface": precision, "head": "logits", "images": images[:1], "representative_data": images}
    to_tflite(model, path, precision=precision, **options)


if __name__ == "__main__":
    typer.run(main)
