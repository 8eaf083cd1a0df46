"""Damages files of every kind for as long as it may, and prints each seed on which a reader fails.

    python tests/cli/fuzz.py --minutes 10
    python tests/cli/fuzz.py --reader classes.csv --seed 12345      one of them again, with its traceback

Exit status 1 if any failed.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from keras_segnet.cli import silence

silence.begin()  # Image libraries think aloud about what is damaged.
sys.path.append(str(Path(__file__).parents[1]))

from readers import READERS, trial  # noqa: E402


def main(
    minutes: Annotated[float, typer.Option(help="How long to try.")] = 10.0,
    reader: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(READERS)}. Default: all in turn.")] = None,
    seed: Annotated[int | None, typer.Option(help="Try this one only.")] = None,
) -> None:
    """Damage files of every kind and read them."""
    warnings.filterwarnings("ignore")
    names = reader or list(READERS)
    start = random.randrange(2**32) if seed is None else seed
    end = time.monotonic() + 60 * minutes
    failures = tried = 0
    for number in itertools.count(start):
        for name in names:
            try:
                with TemporaryDirectory() as folder:
                    trial(READERS[name], Path(folder), number)
            except Exception as error:
                if seed is not None:
                    raise
                failures += 1
                print(f"--reader {name} --seed {number}: {type(error).__name__}: {str(error)[:200]}", flush=True)
            tried += 1
        if seed is not None or time.monotonic() > end:
            break
    print(f"{failures} of {tried} files ended in another error than one line.")
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    typer.run(main)
