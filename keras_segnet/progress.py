"""How a pass over many items shows how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Progress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps an iterable of known length to show how far it is: `progress(items, total, description)`."""


def silent(items: Iterable[Any], total: int, description: str) -> Iterable[Any]:
    """The progress that shows nothing."""
    return items
