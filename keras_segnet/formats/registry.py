"""The registry: every format by its name, from which the command line, the gate and the tests read."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from keras_segnet.catalogue import HEADS, INTEGERS
from keras_segnet.errors import InputError, refuse_unknown

COMMON = {"model", "path", "images", "fit", "overwrite", "progress"}
"""Arguments of every function that exports."""


@dataclass(frozen=True)
class Option:
    """An option of `keras-segnet export` that not every format accepts.

    Attributes:
        name: of the argument of the function that exports.
        kind: its type; `tuple[int, int]` for a height and a width.
        help: what it does, in the imperative, with the choices and the default.
        choices: the values that are allowed, if they are few.
    """

    name: str
    kind: Any
    help: str
    choices: tuple[str, ...] = ()


INPUT_SIZE = Option("input_size", tuple[int, int], "Fix the input size of a model that accepts any size.")
HEAD = Option("head", str, "Return probabilities (default), logits or class_map.", HEADS)


@dataclass(frozen=True)
class Format:
    """A kind of exported file.

    Attributes:
        suffix: of its files; empty where it is a folder.
        writer: function that exports a model to a path through the gate, as MODULE:NAME.
        opener: function that opens a file to be judged; None where files are judged one by one.
        options: those of the command line, all of them arguments of the writer.
    """

    suffix: str
    writer: str
    opener: str | None
    options: tuple[Option, ...] = ()

    @cached_property
    def write(self) -> Callable[..., Any]:
        """The writer, imported; it returns a `ParityReport`."""
        return pkgutil.resolve_name(self.writer)

    @cached_property
    def open(self) -> Callable[..., Any] | None:
        """The opener, imported; it takes a path and returns an `ExportedFile`."""
        return None if self.opener is None else pkgutil.resolve_name(self.opener)

    @property
    def arguments(self) -> set[str]:
        """The arguments of the writer that not every format accepts."""
        return {*inspect.signature(self.write).parameters} - COMMON

    def computes_in_integers(self, options: Mapping[str, Any]) -> bool:
        """Whether ranges of activations are measured for an export with these options."""
        measured = inspect.signature(self.write).parameters.get("representative_data")
        return measured is not None and (measured.default is measured.empty or options.get("precision") in INTEGERS)


FORMATS: dict[str, Format] = {}
"""Every format by its name."""


def export_format(
    name: str, *, suffix: str, writer: str, opener: str | None = None, options: tuple[Option, ...] = ()
) -> None:
    """Registers a format; for the arguments see `Format`."""
    FORMATS[name] = Format(suffix, writer, opener, options)


def check_options(name: str, given: Collection[str]) -> Format:
    """The format of a name, with options that it has.

    Raises:
        InputError: there is no such format, or an option is one of another format.
    """
    refuse_unknown("format", name, FORMATS)
    for option in sorted({*given} - FORMATS[name].arguments):
        takers = [other for other, kind in FORMATS.items() if option in kind.arguments]
        refuse_unknown("options", option, sorted(set().union(*(kind.arguments for kind in FORMATS.values()))))
        raise InputError(f"`{option}` is for `format` {' or '.join(takers)}, not for {name}.")
    return FORMATS[name]


__all__ = ["FORMATS", "HEAD", "INPUT_SIZE", "Format", "Option", "check_options", "export_format"]
