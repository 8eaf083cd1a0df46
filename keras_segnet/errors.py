"""The error that is the user's to fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Says in one line which file or argument is wrong, what was found and what is allowed.

    A message names arguments as Python does, in backticks: "`batch_size` must be at least 1". The command line prints
    the line with its own names for them and ends with status 2.
    """


def shown(value: object, most: int = 60) -> str:
    """A value as a message shows it: as Python writes it, cut short."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]} ..."


def refuse_unknown(argument: str, value: str, allowed: Iterable[str]) -> None:
    """Raises an `InputError` that suggests the nearest name if an argument has none of the values that it may have."""
    names = list(allowed)
    if value in names:
        return
    listed = f"{', '.join(names[:-1])} or {names[-1]}"
    raise InputError(f"`{argument}` must be {listed}, not {shown(value)}{nearest(value, names)}")


def nearest(value: str, names: Iterable[str]) -> str:
    """How a message ends that refuses a value: with the name that is most like it, if one is."""
    found = difflib.get_close_matches(value[:60], names, n=1)
    return f"; did you mean {found[0]}?" if found else "."
