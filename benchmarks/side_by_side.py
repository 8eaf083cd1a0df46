"""Runs one task with several implementations, each in its own environment and process, call by call, and compares."""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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


class Figure(NamedTuple):
    """What was measured of one quantity.

    Attributes:
        median: over all calls.
        ratio: median of the ratios of each call to the one of the first contender just before it.
    """

    median: float
    ratio: float


def measure(contenders: list[Contender], task: Mapping[str, Any], rounds: int) -> dict[str, dict[str, Figure]]:
    """Each figure that the workers print, by name of the contender.

    Every contender is measured beside the first one, call by call in turn, so that both meet the same machine however
    its speed varies. All of them at once would not fit into memory, so there are two processes at a time.
    """
    first, *others = contenders
    values: dict[str, dict[str, list[float]]] = {contender.name: {} for contender in contenders}
    ratios: dict[str, dict[str, list[float]]] = {contender.name: {} for contender in contenders}
    groups = [(first, other) for _ in range(rounds) for other in others] or [(first,)] * rounds
    for group in track(groups, description=", ".join(f"{k} {v}" for k, v in task.items()), console=console):
        of_first, *_ = answers = _take_turns(group, task)
        for contender, figures in zip(group, answers, strict=True):
            for key, found in figures.items():
                values[contender.name].setdefault(key, []).extend(found)
                quotients = [b / a for a, b in zip(of_first[key], found, strict=True)] if key in of_first else []
                ratios[contender.name].setdefault(key, []).extend(quotients)
    return {
        name: {key: Figure(statistics.median(found), statistics.median(ratios[name][key] or [math.nan]))
               for key, found in figures.items()}
        for name, figures in values.items()
    }  # fmt: skip


def _take_turns(contenders: Iterable[Contender], task: Mapping[str, Any]) -> list[dict[str, list[float]]]:
    """Runs the task in a process for each contender, only one of which works at a time; what each answers."""
    with contextlib.ExitStack() as stack:
        waiting = {i: stack.enter_context(_Worker(contender, task)) for i, contender in enumerate(contenders)}
        answers: dict[int, dict[str, list[float]]] = {}
        while waiting:
            for i, worker in list(waiting.items()):
                answer = worker.take_turn()
                if answer is not None:
                    answers[i] = answer
                    del waiting[i]
    return [answers[i] for i in sorted(answers)]


class _Worker:
    """A process that prints "turn" and waits for a line before whatever takes time, see workers/timing.py."""

    def __init__(self, contender: Contender, task: Mapping[str, Any]) -> None:
        self.name = contender.name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (__exit__ closes it)
        environment = {
            **os.environ,
            "KERAS_BACKEND": contender.backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # This checkout is measured, whichever is installed.
            "PYTHONPATH": os.pathsep.join((str(WORKERS), str(ROOT))),
        }
        self._process = subprocess.Popen(
            [contender.python, WORKERS / f"{contender.worker}.py", json.dumps({**task, **contender.settings})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self._wait()

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def take_turn(self) -> dict[str, list[float]] | None:
        """Lets the process work until it asks for its next turn (None) or answers."""
        self._process.stdin.write("\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return self._wait()

    def _wait(self) -> dict[str, list[float]] | None:
        for line in self._process.stdout:  # type: ignore[union-attr]
            if line == "turn\n":
                return None
            if line.startswith("{"):
                figures: dict[str, list[float]] = json.loads(line)
                return figures
        self._errors.seek(0)
        raise SystemExit(f"{self.name} failed:\n{self._errors.read()[-2000:]}")


def beside_first(values: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, dict[str, Figure]]:
    """Figures of what took turns in one process: by contender and quantity, the values of all turns in their order."""
    first = next(iter(values.values()))
    return {
        name: {
            key: Figure(
                statistics.median(found), statistics.median(b / a for a, b in zip(first[key], found, strict=True))
            )
            for key, found in quantities.items()
        }
        for name, quantities in values.items()
    }


def show(title: str, figures: Mapping[str, Mapping[str, Figure]], unit: str) -> None:
    """A table: a line for each contender, its figures, and how they compare with those of the first."""
    columns = list(next(iter(figures.values())))
    first = next(iter(figures))
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(f"{column} [{unit}]", justify="right")
        table.add_column(f"over {first}", justify="right")
    for name, found in figures.items():
        cells = [cell for c in columns for cell in (f"{found[c].median:.1f}", f"{found[c].ratio:.3f}")]
        table.add_row(name, *cells)
    console.print(table)
