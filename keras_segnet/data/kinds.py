"""The registry: every way in which a data set can lie in a folder, by its name.

A kind is a function of one file of this folder, which makes the data set of a path and a split:

    @data_kind(holds="JPEGImages/ and SegmentationClass/", recognises=lambda path: find_root(path) is not None)
    def voc2012(path, split="train", *, on_fault=refuse):

`keras_segnet.data` imports every module of its folder, so a new kind is one new file. Where its docstring shows images
and their labels as they lie, a pair a line, tests/data/test_every_kind.py draws them:

    JPEGImages/a.jpg  SegmentationClass/a.png
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from keras_segnet.data.splits import SPLITS

Opener = TypeVar("Opener", bound=Callable[..., Any])


@dataclass(frozen=True)
class Kind:
    """A way in which a data set can lie in a folder.

    Attributes:
        open: of a path and a split, makes the data set; takes `on_fault` too.
        holds: what such a folder holds, for messages.
        recognises: whether a folder, or a file, looks like it.
        splits: of a path, those of `SPLITS` that it says it has; none where images are split at random, and where
            there is a split "all" of them.
        turn: kinds of a lower one are tried first. Default 1; higher where other kinds' folders look like it, too.
    """

    open: Callable[..., Any]
    holds: str
    recognises: Callable[[Path], bool]
    splits: Callable[[Path], list[str]] = lambda path: list(SPLITS)
    turn: int = 1


KINDS: dict[str, Kind] = {}
"""Every kind by its name."""


def data_kind(**attributes: Any) -> Callable[[Opener], Opener]:
    """Registers a function as the kind of its name, and leaves it as it is; for the arguments see `Kind`."""

    def register(opener: Opener) -> Opener:
        KINDS[opener.__name__] = Kind(opener, **attributes)
        return opener

    return register


def recognised(path: Path) -> str | None:
    """The kind that a path looks like; None if there is none."""
    in_turn = sorted(KINDS.items(), key=lambda item: item[1].turn)
    return next((name for name, kind in in_turn if kind.recognises(path)), None)


def has(*parts: str) -> Callable[[Path], bool]:
    """Whether a path holds one of these folders."""
    return lambda path: any((path / part).is_dir() for part in parts)


def listed(path: Path) -> list[str]:
    """The splits that lists in the folder name."""
    return [split for split in SPLITS if (path / f"{split}.txt").is_file()]
