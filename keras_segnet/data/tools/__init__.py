"""Exports of label tools, one module a tool, in which it registers itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keras_segnet.data.annotations import AnnotatedDataset, Annotations, open_annotations, splits_of
from keras_segnet.data.files import OnFault, refuse
from keras_segnet.data.kinds import KINDS, Kind
from keras_segnet.errors import InputError

Reader = Callable[[Path], Annotations]


def label_tool(
    name: str, find: Callable[[Path], list[Path]], *, holds: str, turn: int = 3
) -> Callable[[Reader], Reader]:
    """Registers a function that reads a tool's export as a kind of data set, and leaves it as it is.

    Args:
        name: of the kind.
        find: the files that make up an export at a path, or nothing where there is none.
        holds, turn: as in `keras_segnet.data.kinds.Kind`.
    """

    def register(read: Reader) -> Reader:
        def read_existing(path: Path) -> Annotations:
            if not find(path):
                raise InputError(f"{path} does not hold {holds}.")
            return read(path)

        def open_export(path: Path, split: str, *, on_fault: OnFault = refuse) -> AnnotatedDataset:
            return open_annotations(path if path.is_dir() else path.parent, read_existing(path), split, on_fault)

        KINDS[name] = Kind(
            open_export, holds, lambda path: bool(find(path)), lambda path: splits_of(read_existing(path)), turn
        )
        return read

    return register


__all__ = ["label_tool"]
