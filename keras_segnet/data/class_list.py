"""The classes of one's own data, from `classes.csv` or `classes.json` beside it."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_segnet.colours import distinct_colours
from keras_segnet.data.dataset import Classes
from keras_segnet.data.labels import Colour, LabelCoding
from keras_segnet.errors import InputError
from keras_segnet.files import read_text

IGNORED = 255
"""Label value of the classes that a list says are ignored."""

NAME, COLOUR, IGNORED_COLUMN, VALUE = (
    ("name", "class", "label"),
    ("colour", "color", "rgb"),
    ("ignored", "ignore", "void"),
    ("value", "id", "index"),
)
PARTS = (("r", "red"), ("g", "green"), ("b", "blue"))
YES, NO = ("1", "true", "yes", "y", "x"), ("", "0", "false", "no", "n", "none", "null")


@dataclass(frozen=True)
class Entry:
    """What a list says of one class.

    Attributes:
        where: file and line, for messages.
        name: of the class; entries of one name are one class.
        colour: of it in RGB labels and in pictures, or None.
        ignored: whether its pixels are ignored.
        value: of it in grey labels and palettes, or None for the position of the entry.
    """

    where: str
    name: str
    colour: Colour | None
    ignored: bool
    value: int | None


@dataclass(frozen=True)
class ClassList:
    """The classes of a data set and how its labels tell them."""

    classes: Classes
    coding: LabelCoding


def read_class_list(folder: Path, ignore_class: int | None = IGNORED) -> ClassList | None:
    """Reads `classes.csv`, else `classes.json`; None if there is neither.

    `classes.csv` has a line a class, below a line that names the columns: `name`, and for RGB labels `r,g,b` or
    `colour` (`#804080` or `128 64 128`); optionally `ignored` (`yes` or nothing) and `value`. Without such a line the
    columns are name, r, g, b, ignored. `classes.json` is a list of objects with the same keys.

    The classes are the entries that are not ignored, in their order; entries of one name are one class. RGB labels
    are read by colour. Grey and palette labels are read by value, which is the position of the entry, counted from 0,
    unless the list says `value`; if all colours are greys (a mask of 0 and 255), the grey is the value.

    Args:
        folder: that holds the list.
        ignore_class: a value of grey and palette labels that is ignored too, if it is no class's; or None.

    Raises:
        InputError: the file cannot be read as described, or two entries have one colour or value.
    """
    for name, read in (("classes.csv", _read_csv), ("classes.json", _read_json)):
        if (folder / name).is_file():
            return class_list(folder / name, read(folder / name), ignore_class)
    return None


def class_list(path: Path, entries: Sequence[Entry], ignore_class: int | None) -> ClassList:
    """Makes classes and coding of what a list says; see `read_class_list`."""
    coloured = [entry for entry in entries if entry.colour is not None]
    if coloured and len(coloured) < len(entries):
        without = next(entry for entry in entries if entry.colour is None)
        raise InputError(f"{without.where}: {without.name!r} has no colour, though others have.")
    names = list(dict.fromkeys(entry.name for entry in entries if not entry.ignored))
    if not 2 <= len(names) <= IGNORED:
        raise InputError(f"num_classes must be 2 to {IGNORED}; {path} has {len(names)}.")
    number = {name: position for position, name in enumerate(names)}
    greys = coloured and all(len(set(entry.colour or ())) == 1 for entry in entries)
    values: dict[int, int] = {}
    colours: dict[Colour, int] = {}
    for position, entry in enumerate(entries):
        label = IGNORED if entry.ignored else number[entry.name]
        value = entry.value
        if value is None:
            value = entry.colour[0] if greys and entry.colour else position
        _add(values, value, label, entry, "value")
        if entry.colour is not None:
            _add(colours, entry.colour, label, entry, "colour")
    if ignore_class is not None:
        values.setdefault(ignore_class, IGNORED)
    shown = {entry.name: entry.colour for entry in reversed(entries) if entry.colour is not None}
    palette = tuple(shown[name] for name in names) if shown else distinct_colours(len(names))
    return ClassList(Classes(tuple(names), palette, IGNORED), LabelCoding(values, colours, IGNORED))


def _add(classes: dict[Any, int], key: Any, label: int, entry: Entry, kind: str) -> None:
    if key in classes:
        raise InputError(f"{entry.where}: {entry.name!r} has the {kind} {key}, which another entry has too.")
    classes[key] = label


def _read_csv(path: Path) -> list[Entry]:
    lines = read_text(path, "a table of classes").splitlines()
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise InputError(f"{path} is empty; a line a class is expected: name,r,g,b.")
    delimiter = max(",;\t", key=filled[0].count)
    header = [cell.strip().lower() for cell in next(csv.reader(filled[:1], delimiter=delimiter))]
    if not set(header) & set(NAME):
        header = ["name", "r", "g", "b", "ignored"]
        first = 0
    else:
        first = lines.index(filled[0]) + 1
    entries = []
    for number, line in enumerate(lines[first:], start=first + 1):
        if line.strip():
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
            if len(cells) > len(header):
                raise InputError(f"{path}, line {number}: {len(cells)} columns, where {len(header)} are named.")
            entries.append(_entry(f"{path}, line {number}", dict(zip(header, cells, strict=False))))
    return entries


def _read_json(path: Path) -> list[Entry]:
    try:
        content = json.loads(read_text(path, "a list of classes"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}.") from error
    if isinstance(content, dict) and isinstance(content.get("classes"), list):
        content = content["classes"]
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise InputError(f'{path} is not a list of objects such as {{"name": "Road", "colour": [128, 64, 128]}}.')
    return [
        _entry(f"{path}, class {position}", {str(key).lower(): value for key, value in item.items()})
        for position, item in enumerate(content)
    ]


def _entry(where: str, cells: Mapping[str, Any]) -> Entry:
    """An entry of a table's line or of a JSON object."""
    name = str(_find(cells, NAME) or "").strip()
    if not name:
        raise InputError(f"{where}: there is no name.")
    colour = _find(cells, COLOUR)
    if colour in (None, ""):
        parts = [_find(cells, part) for part in PARTS]
        colour = None if all(part in (None, "") for part in parts) else parts
    ignored = str(_find(cells, IGNORED_COLUMN) or "").strip().lower()
    if ignored not in YES + NO:
        raise InputError(f"{where}: ignored must be yes or no, not {ignored!r}.")
    value = _find(cells, VALUE)
    return Entry(
        where,
        name,
        None if colour is None else _colour(where, colour),
        ignored in YES,
        None if value in (None, "") else _byte(where, value, "value"),
    )


def _find(cells: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((cells[key] for key in keys if key in cells), None)


def _colour(where: str, written: Any) -> Colour:
    """A colour from `#rrggbb`, from text with three numbers, or from three numbers."""
    if isinstance(written, str):
        hexadecimal = re.fullmatch(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", written.strip())
        if hexadecimal:
            red, green, blue = (int(part, 16) for part in hexadecimal.groups())
            return red, green, blue
        parts: Any = re.split(r"[\s,;]+", written.strip(" ()[]"))
    else:
        parts = written
    if not isinstance(parts, list) or len(parts) != 3:
        raise InputError(f"{where}: a colour is three numbers 0 to 255 or #rrggbb, not {written!r}.")
    red, green, blue = (_byte(where, part, "colour") for part in parts)
    return red, green, blue


def _byte(where: str, written: Any, kind: str) -> int:
    text = "" if written is None else str(written).strip()
    if not (text.isascii() and text.isdigit() and int(text) <= 255):
        raise InputError(f"{where}: a {kind} is made of whole numbers 0 to 255, not {text!r}.")
    return int(text)
