"""What bfloat16 costs in accuracy: the same recipe and seeds in float32 and in bfloat16.

    .venv/bin/python benchmarks/precision_accuracy.py --data CAMVID --output runs/precision_accuracy

Each run is a folder of --output. What is there is not done again, and a run that was cut off is resumed. --report
trains nothing and prints the table of what is there.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

PRECISIONS = ("float32", "mixed_bfloat16")
RECIPE = "--model segnet --width 0.25 --input-size 180x240 --batch-size 4 --balancing-exponent 0.5 --scale 1 3"

console = Console(width=120)


def main(
    data: Annotated[str, typer.Option(help="CamVid, as keras-segnet train takes it.")],
    output: Annotated[Path, typer.Option(help="Folder of the runs.")],
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of each run.")] = 25,
    seeds: Annotated[int, typer.Option(min=1, help="Runs in each precision.")] = 3,
    report: Annotated[bool, typer.Option("--report", help="Only print the table.")] = False,
) -> None:
    """Trains each seed in both precisions, and prints validation mean IoU after the last epoch."""
    for seed in range(seeds):
        for precision in PRECISIONS:
            if not report and len(scores(folder_of(output, precision, seed))) < epochs:
                options = f"{RECIPE} --epochs {epochs} --seed {seed} --precision {precision} --resume".split()
                folder = folder_of(output, precision, seed)
                command = [sys.executable, "-m", "keras_segnet", "train", "--data", data, *options]
                subprocess.run([*command, "--output", str(folder)], check=True)
    console.print(table(output, epochs, seeds))


def folder_of(output: Path, precision: str, seed: int) -> Path:
    return output / f"{precision}_{seed}"


def scores(folder: Path) -> list[float]:
    """Validation mean IoU in percent after each epoch."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [100 * float(row["val_mean_iou"]) for row in csv.DictReader(file)]


def table(output: Path, epochs: int, seeds: int) -> Table:
    """A row a seed, and the means of those whose two runs are finished; others stand at their last common epoch."""
    shown = Table(title=f"Validation mean IoU, %, of {epochs} epochs", title_justify="left")
    for column in ("seed", "epoch", *PRECISIONS, "difference"):
        shown.add_column(column, justify="right")
    finished = []
    for seed in range(seeds):
        runs = [scores(folder_of(output, precision, seed)) for precision in PRECISIONS]
        common = min(map(len, runs))
        if not common:
            shown.add_row(str(seed), "not run")
            continue
        pair = [run[common - 1] for run in runs]
        shown.add_row(str(seed), str(common), *_cells(pair))
        if common == epochs:
            finished.append(pair)
    if finished:
        shown.add_section()
        means = [statistics.mean(column) for column in zip(*finished, strict=True)]
        shown.add_row(f"mean of {len(finished)}", str(epochs), *_cells(means))
    return shown


def _cells(pair: list[float]) -> list[str]:
    return [f"{pair[0]:.2f}", f"{pair[1]:.2f}", f"{pair[1] - pair[0]:+.2f}"]


if __name__ == "__main__":
    typer.run(main)
