"""How the site reads docstrings that follow Keras instead of Google: call arguments, and examples without indent."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^[ ]*>>> .*\n?(?:^[ ]*(?!>>> )\S.*\n?)*)+", re.MULTILINE)
"""Lines that begin with `>>>`, and what they print."""


class Docstrings(griffe.Extension):
    """Makes call arguments a section like "Args:", and examples blocks of code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Changes the docstring of an object that was read."""
        if obj.docstring:
            text = obj.docstring.value.replace("Call arguments:\n", "Other Parameters:\n")
            obj.docstring.value = EXAMPLE.sub(fenced, text).replace("\nExample:\n\n", "\n\n")


def fenced(example: re.Match[str]) -> str:
    """An example as a block of code at its indent."""
    text = example[0].rstrip("\n")
    indent = " " * (len(text) - len(text.lstrip()))
    return f"{indent}```pycon\n{text}\n{indent}```\n"
