"""Time, memory and size of SegNet and its rivals at 360x480, beside the paper's Table 6, each as a ratio to SegNet.

    .venv/bin/python benchmarks/paper_table6.py --repeats 1

On a GPU, from an environment with JAX, `--backend jax`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.table import Table
from side_by_side import Contender, available, console, measure

# Forward and backward ms, training and inference memory in MB, model in MB (Table 6, on a Titan X with cuDNN v3).
PAPER = {
    "segnet": (422.50, 488.71, 6803, 1052, 117),
    "deeplab_largefov": (110.06, 160.73, 5618, 1993, 83),
    "fcn_8s": (317.09, 484.11, 9735, 1806, 539),
    "deconvnet": (474.65, 602.15, 9731, 1872, 877),
}
RIVALS = ("deeplab_largefov", "fcn_8s", "deconvnet", "unet")
QUANTITIES = ("forward [ms]", "backward [ms]", "training memory [MB]", "inference memory [MB]", "model [MB]")


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each network has its turn.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Calls a turn.")] = 3,
    batch: Annotated[int, typer.Option(min=1, help="Images a call.")] = 1,
    network: Annotated[list[str] | None, typer.Option(help="Which beside segnet; may be given again.")] = None,
    backend: Annotated[str, typer.Option(help="Of Keras: tensorflow, or jax as on a GPU.")] = "tensorflow",
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    width: Annotated[float, typer.Option(help="Factor on the channels; the paper's networks have 1.")] = 1.0,
) -> None:
    """Prints medians here and the paper's figures, and both over SegNet's.

    Backward is a training step less a prediction, so the update of the weights is in it. Memory is what a process grows
    by at most, the weights included, in a prediction and in a training step with momentum; on a GPU, what JAX had
    allocated on it at most.
    """
    names = ["segnet", *(name for name in network or RIVALS if name != "segnet")]
    environment = ".venv" if backend == "tensorflow" else f".venv-{backend}"
    common = {"size": (360, 480), "batch": batch, "width": width, "precision": precision}
    # JAX takes most of a GPU at once otherwise, and what it had taken would say nothing.
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"

    def run(worker_task: Mapping[str, object], turns: int) -> dict[str, dict[str, float]]:
        contenders = [Contender(name, "with_keras", {"network": name}, environment, backend) for name in names]
        figures = measure(available(contenders), {**worker_task, **common}, turns)
        return {name: {key: found.median for key, found in of.items()} for name, of in figures.items()}

    times = run({"task": "network", "implementation": "ours", "repeats": repeats}, rounds)
    inference = run({"task": "footprint", "training": False}, 1)
    training = run({"task": "footprint", "training": True}, 1)
    found = {
        name: (
            times[name]["predict"],
            times[name]["train step"] - times[name]["predict"],
            training[name]["memory"],
            inference[name]["memory"],
            inference[name]["model"],
        )
        for name in times
    }

    table = Table(title=f"{batch}x360x480, {backend}, {precision}, width {width:g}", title_justify="left")
    table.add_column("")
    for column in ("here", "over segnet", "paper", "over SegNet"):
        table.add_column(column, justify="right")
    for i, quantity in enumerate(QUANTITIES):
        table.add_section()
        table.add_row(f"[bold]{quantity}")
        for name, figures in found.items():
            cells = [f"{figures[i]:.0f}", f"{figures[i] / found['segnet'][i]:.2f}"]
            if name in PAPER:
                cells += [f"{PAPER[name][i]:.0f}", f"{PAPER[name][i] / PAPER['segnet'][i]:.2f}"]
            table.add_row(name, *cells)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
