"""Runs one task with several implementations, each in its own environment and process, in turn, and compares.

The processes take turns, several rounds long, so that a machine that gets slower or faster meanwhile does so for all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
WORKERS = ROOT / "benchmarks" / "workers"

console = Console(width=120)


@dataclass(frozen=True)
class Contender:
    """An implementation: its name in the table, and the worker that runs it with these settings."""

    name: str
    worker: str
    settings: Mapping[str, Any]
    environment: str = ".venv"
    backend: str = "tensorflow"

    @property
    def python(self) -> Path:
        return ROOT / self.environment / "bin" / "python"


def available(contenders: Iterable[Contender]) -> list[Contender]:
    """Those whose environment is there. Says on the screen which are not."""
    found = []
    for contender in contenders:
        if contender.python.is_file():
            found.append(contender)
        else:
            console.print(
                f"Left out: {contender.name}, for there is no {contender.python}; make benchmark-environments."
            )
    return found


def measure(contenders: list[Contender], task: Mapping[str, Any], rounds: int) -> dict[str, dict[str, float]]:
    """The median of each figure that the workers print, over all rounds, by name of the contender."""
    figures: dict[str, dict[str, list[float]]] = {contender.name: {} for contender in contenders}
    turns = [contender for _ in range(rounds) for contender in contenders]
    for contender in track(turns, description=", ".join(f"{k} {v}" for k, v in task.items()), console=console):
        for key, values in _run(contender, task).items():
            figures[contender.name].setdefault(key, []).extend(values)
    return {
        name: {key: statistics.median(values) for key, values in collected.items()}
        for name, collected in figures.items()
    }


def _run(contender: Contender, task: Mapping[str, Any]) -> dict[str, list[float]]:
    environment = {
        **os.environ,
        "KERAS_BACKEND": contender.backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join([str(WORKERS), str(ROOT)]),
    }
    done = subprocess.run(
        [contender.python, WORKERS / f"{contender.worker}.py", json.dumps({**task, **contender.settings})],
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        raise SystemExit(f"{contender.name} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return figures


def show(title: str, figures: Mapping[str, Mapping[str, float]], unit: str) -> None:
    """A table: a line for each contender, its figures, and how they compare with those of the first."""
    columns = list(next(iter(figures.values())))
    first = next(iter(figures))
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(f"{column} [{unit}]", justify="right")
        table.add_column(f"over {first}", justify="right")
    for name, values in figures.items():
        cells = [cell for c in columns for cell in (f"{values[c]:.1f}", f"{values[c] / figures[first][c]:.3f}")]
        table.add_row(name, *cells)
    console.print(table)
