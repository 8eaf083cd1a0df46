"""How a long task shows what it does: lines, and bars for how far it is.

A task shows things in a `Display`: the command line has one of its own, `Printed` is for scripts and Jupyter, and
`Display` itself shows nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps an iterable of known length to show how far it is: `progress(items, total, description)`. `Display` is one."""


def silent(items: Iterable[Any], total: int, description: str) -> Iterable[Any]:
    """The progress that shows nothing."""
    return items


class Bar:
    """How far one task is. This one shows nothing."""

    def update(self, done: int, total: int, description: str, note: str = "") -> None:
        """Shows that so many of all items are done, what is done with them, and a few words more."""

    def close(self) -> None:
        """Takes the bar off the screen; a second call does nothing."""


class Display:
    """Where a task shows lines and bars. This one shows nothing."""

    def say(self, line: str) -> None:
        """Shows a line."""

    def bar(self) -> Bar:
        """A new bar."""
        return Bar()

    def __call__(self, items: Iterable[Any], total: int, description: str) -> Iterator[Any]:
        """Shows how far an iterable of known length is; see `Progress`."""
        bar = self.bar()
        try:
            bar.update(0, total, description)
            for done, item in enumerate(items, start=1):
                yield item
                bar.update(done, total, description)
        finally:
            bar.close()


class Printed(Display):
    """Prints lines, and draws bars with tqdm in Jupyter and in terminals; in other output there are no bars."""

    def say(self, line: str) -> None:
        print(line, flush=True)

    def bar(self) -> Bar:
        return TqdmBar() if "ipykernel" in sys.modules or sys.stderr.isatty() else Bar()


class TqdmBar(Bar):
    """A bar of tqdm."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self._tqdm = tqdm(leave=False)

    def update(self, done: int, total: int, description: str, note: str = "") -> None:
        if total != self._tqdm.total:
            self._tqdm.reset(total)
        self._tqdm.set_description(description, refresh=False)
        self._tqdm.set_postfix_str(note, refresh=False)
        self._tqdm.update(done - self._tqdm.n)

    def close(self) -> None:
        self._tqdm.close()
