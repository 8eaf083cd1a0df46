"""The command line as a whole: what its commands are, and how each ends."""

from __future__ import annotations

import io
import logging
import re
import sys
from typing import Annotated

import typer

from keras_segnet import __version__
from keras_segnet.cli import silence
from keras_segnet.cli.commands import data
from keras_segnet.cli.commands.arguments import stoppable
from keras_segnet.cli.commands.benchmark import benchmark
from keras_segnet.cli.commands.check_gpu import check_gpu
from keras_segnet.cli.commands.demo import demo
from keras_segnet.cli.commands.evaluate import evaluate
from keras_segnet.cli.commands.export import check_parity, export
from keras_segnet.cli.commands.models import models
from keras_segnet.cli.commands.predict import predict
from keras_segnet.cli.commands.serve import serve
from keras_segnet.cli.commands.train import train
from keras_segnet.cli.screen import Notices, complain, say
from keras_segnet.errors import InputError

app = typer.Typer(
    name="keras-segnet",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="SegNet for image segmentation: train on labelled images, export checked files for phones, boards, browsers.",
)


def main() -> None:
    """Entry point of the console script."""
    arguments = sys.argv[1:]
    # A name that the terminal's encoding, or any, cannot tell is shown with escapes.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    logger = logging.getLogger("keras_segnet")
    logger.addHandler(Notices())
    logger.propagate = False
    if "--debug" not in arguments:
        silence.begin()
    status = run(arguments)
    silence.end()
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit status.

    0: done. 1: the parity gate refused an export. 2: the user can fix it; one line on standard error names
    it. 130: Ctrl-C.
    """
    try:
        app(arguments, prog_name="keras-segnet")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception as error:
        if "--debug" in arguments or not _is_for_the_user(error):
            raise
        complain(_in_one_line(error))
        return 2
    return 0


def _is_for_the_user(error: Exception) -> bool:
    if _is_out_of_memory(error):
        return True
    if isinstance(error, ModuleNotFoundError):
        return error.name is not None and not error.name.startswith("keras_segnet")
    return isinstance(error, OSError | InputError)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether an error of Python, NumPy, TensorFlow, PyTorch or JAX says that memory ran out."""
    names = {kind.__name__ for kind in type(error).__mro__}
    known = {"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"}
    return bool(names & known) or "RESOURCE_EXHAUSTED" in str(error)


def _in_one_line(error: Exception) -> str:
    if _is_out_of_memory(error):
        return "there is not enough memory; a smaller width, input size or batch size needs less."
    if isinstance(error, ModuleNotFoundError):
        return f"this needs the Python module {error.name}, which is not installed."
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}." if error.filename is not None else f"{error.strerror}."
    return " ".join(as_options(str(error)).split())


def as_options(message: str) -> str:
    """An error of the library, which names arguments as `input_size`, with the command line's --input-size."""
    return re.sub("`([a-z_]+)`", lambda match: "--" + match[1].replace("_", "-"), message)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"keras-segnet {__version__}")
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the frameworks' logs, and a traceback for every error.")
    ] = False,
) -> None:
    """SegNet for image segmentation: train on labelled images, export checked files for phones, boards, browsers."""


for command in (train, evaluate, export, check_parity, check_gpu, benchmark, predict, serve, models, demo):
    app.command(command.__name__.replace("_", "-"))(stoppable(command))
app.add_typer(data.app, name="data")
