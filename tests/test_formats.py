"""Each format is one file of its own, from which the command line and the library read."""

import inspect
import os
import subprocess
import sys

import pytest
import typer

from keras_segnet.cli.main import app
from keras_segnet.formats import FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_its_options_are_arguments_of_what_writes_it_and_options_of_the_command(name: str) -> None:
    """With the same type, None or False by default, and help that reads as a sentence and says for which formats."""
    arguments = inspect.signature(FORMATS[name].write).parameters
    options = {option.name: option for option in typer.main.get_command(app).commands["export"].params}  # type: ignore[attr-defined]
    for option in FORMATS[name].options:
        assert arguments[option.name].kind is inspect.Parameter.KEYWORD_ONLY
        kind = getattr(option.kind, "__name__", "") if isinstance(option.kind, type) else str(option.kind)
        assert arguments[option.name].annotation in (kind, f"{option.kind} | None")
        help = options[option.name].help
        assert option.help[0].isupper() and option.help.endswith(".") and help.startswith(option.help)
        assert name in help.partition("[for ")[2].rstrip("]").split(", ")
    assert FORMATS[name].open is None or callable(FORMATS[name].open)


def test_the_table_is_read_without_a_framework() -> None:
    heavy = "import sys, keras_segnet.formats; sys.exit(any(name in sys.modules for name in ('keras', 'numpy')))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", heavy], check=True, env=environment)
