"""What arguments of several commands have in common."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from keras_segnet.cli import silence
from keras_segnet.cli.screen import complain
from keras_segnet.training.configuration import DATA_HELP


class Split(StrEnum):
    train = "train"
    val = "val"
    test = "test"


MODEL_HELP = (
    "A .keras, .tflite or .onnx file, a SavedModel folder, or one of the networks that come with the package, trained "
    "on CamVid: segnet_edge or segnet_basic."
)

Data = Annotated[
    str,
    typer.Option(help=DATA_HELP),
]


Crf = Annotated[
    bool, typer.Option("--crf", help="Refine predictions at full size by a dense CRF (Krähenbühl and Koltun, 2011).")
]


FitRule = Annotated[
    str | None,
    typer.Option(
        "--fit",
        help="Turn images into network inputs by this rule: stretch (the whole image, whatever its aspect ratio), "
        "pad (the whole image, with padding), tile (overlapping tiles), or auto (tile for images more than twice as "
        "high or wide as the input, else stretch). [default: the rule saved with the model; auto if it has none]",
    ),
]

Tile = Annotated[
    str | None,
    typer.Option(
        metavar="HEIGHTxWIDTH",
        help="Label images in overlapping tiles of this size, in pixels of the image. [default: the input's size, for "
        "--fit tile]",
    ),
]

Overlap = Annotated[
    int | None,
    typer.Option(min=0, help="Let tiles overlap by at least this many pixels. [default: a quarter of a tile]"),
]


def as_option(name: str, kind: Any, help: str) -> inspect.Parameter:
    """A keyword of the library as an option of a command: None where it is not given, a size as HEIGHTxWIDTH."""
    is_size = kind == tuple[int, int]
    option = typer.Option(help=help, show_default=False, metavar="HEIGHTxWIDTH" if is_size else None)
    shown: Any = str if is_size else kind
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[shown | None, option]
    )


def refuse_missing_folder(file: Path) -> None:
    """Raises an InputError if there is no folder for a file that is to be written."""
    from keras_segnet.errors import InputError

    if not file.parent.is_dir():
        raise InputError(f"{file.parent} is not a folder; {file.name} was to be written there.")


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """The values of options that are given, for the library."""
    given = {name: value for name, value in options.items() if value is not None}
    return given | {name: parse_size(value) for name, value in given.items() if name == "input_size"}


def parse_size(text: str, option: str = "input_size") -> tuple[int, int]:
    """Reads HEIGHTxWIDTH, as in 360x480."""
    from keras_segnet.errors import InputError

    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"`{option}` must be HEIGHTxWIDTH, two positive whole numbers as in 360x480; not {text!r}.")
    return int(parts[0]), int(parts[1])


def stoppable(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator of a command that Ctrl-C ends with a line and status 130, unless it says something of its own."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            fail("stopped.", 130)

    return run


def fail(line: str, status: int) -> NoReturn:
    """Ends with a line on standard error."""
    complain(line)
    raise SystemExit(status)


def fail_at_once(line: str, status: int) -> NoReturn:
    """Does the same without what libraries do at exit, where JAX would wait for lost processes and then abort."""
    complain(line)
    sys.stdout.flush()
    sys.stderr.flush()
    silence.end()
    os._exit(status)
