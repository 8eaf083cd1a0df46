"""What the command line shows: lines, tables and progress."""

from __future__ import annotations

import logging
import sys
import unicodedata
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from keras_segnet.progress import Bar, Display


class PlainConsole(Console):
    """A console that shows text as it is, whoever it is from: brackets are no markup, controls move no cursor."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def printable(text: str) -> str:
    """The text with what no terminal should get written out: control characters and halves of surrogate pairs."""
    shown = (character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs") for character in text)
    return "".join(character if kept else ascii(character)[1:-1] for character, kept in zip(text, shown, strict=True))


console = PlainConsole(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 120)


class DescriptionColumn(ProgressColumn):
    """What is being done."""

    def render(self, task: Task) -> Text:
        return Text(printable(task.description))


def say(line: str) -> None:
    """Prints a line, however long it is."""
    console.print(line, soft_wrap=True)


def complain(line: str) -> None:
    """Prints a line on standard error: what is wrong."""
    print(f"keras-segnet: {printable(line)}", file=sys.stderr)


class Notices(logging.Handler):
    """Shows what the library logs as lines of the command line."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.getMessage())


class Screen(Display):
    """Lines and bars of the command line; bars on terminals only."""

    def say(self, line: str) -> None:
        say(line)

    def bar(self) -> Bar:
        return _RichBar()


class _RichBar(Bar):
    def __init__(self) -> None:
        self._bar = Progress(
            DescriptionColumn(), BarColumn(bar_width=30), MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False), TimeElapsedColumn(), TextColumn("left"),
            TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("", total=None, note="")
        self._bar.start()

    def update(self, done: int, total: int, description: str, note: str = "") -> None:
        self._bar.update(self._task, completed=done, total=total, description=description, note=note)

    def close(self) -> None:
        self._bar.stop()


def scores_table(title: str, rows: Iterable[tuple[str, str, str, str]]) -> Table:
    """The table of `keras_segnet.evaluation.evaluate.table_rows`."""
    table = Table("class", title=title, title_justify="left")
    for heading in ("accuracy, %", "IoU, %", "pixels"):
        table.add_column(heading, justify="right")
    rows = list(rows)
    for number, row in enumerate(rows):
        table.add_row(*row, end_section=number == len(rows) - 3)
    return table


def networks_table(headings: Iterable[str], rows: Iterable[tuple[Iterable[str], Iterable[str]]]) -> Table:
    """What is said of each network, one line below the other, and its figures, a column each."""
    table = Table("network", show_lines=True)
    for heading in headings:
        table.add_column(heading.replace(" ", "\n"), justify="right")
    for texts, figures in rows:
        table.add_row("\n".join(texts), *figures)
    return table


def benchmarks_table(title: str, benchmarks: Iterable[Any]) -> Table:
    """What `keras_segnet.benchmarking.Benchmark`s say, one a row."""
    table = Table("file", title=title, title_justify="left")
    for heading in ("precision", "head", "image", "median, ms", "p95, ms", "memory, MB", "arena, MB", "size, MB"):
        table.add_column(heading, justify="right")
    for found in benchmarks:
        table.add_row(
            str(found.path),
            found.precision or "-",
            found.head,
            "{}x{}".format(*found.input_size),
            f"{1e3 * found.median:.1f}",
            f"{1e3 * found.p95:.1f}",
            f"{found.memory / 1e6:.1f}",
            "-" if found.arena is None else f"{found.arena / 1e6:.2f}",
            f"{found.size / 1e6:.2f}",
        )
    return table


def profile_table(title: str, ops: Iterable[Any]) -> Table:
    """What `keras_segnet.benchmarking.OpTime`s say, one a row."""
    table = Table("op", title=title, title_justify="left")
    for heading in ("count", "ms", "share, %"):
        table.add_column(heading, justify="right")
    for kind in ops:
        table.add_row(kind.op, str(kind.count), f"{1e3 * kind.seconds:.3f}", f"{100 * kind.share:.1f}")
    return table
