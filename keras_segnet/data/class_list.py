"""The classes of one's own data, from `classes.csv` or `classes.json` beside it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_segnet.colours import distinct_colours
from keras_segnet.data.dataset import Classes
from keras_segnet.data.labels import Colour, LabelCoding
from keras_segnet.errors import InputError, shown
from keras_segnet.files import is_printable, read_json, read_text, reading, write_text

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
    are read by colour. Grey and palette labels are read by `value` where the list says it, else by the position of the
    entry, counted from 0. Where all colours are greys, as for a mask of 0 and 255, they are values: a file is read by
    them, and one that holds other values by position, if no position is the grey of another class. Such greys are codes
    and not for pictures; there the classes have colours that can be told apart.

    Args:
        folder: that holds the list.
        ignore_class: a value of grey and palette labels that is ignored too, if it is no class's; or None.

    Raises:
        InputError: the file cannot be read as described, or two entries have one colour or value.
    """
    for name, read in (("classes.csv", _read_csv), ("classes.json", _read_json)):
        if (folder / name).is_file():
            with reading(folder / name, "cannot be read as a list of classes"):
                entries = read(folder / name)
            return class_list(folder / name, entries, ignore_class)
    return None


def write_class_list(path: Path, classes: Classes) -> None:
    """Writes a `classes.csv` for grey labels whose values are the classes' positions."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("name", "value", "r", "g", "b"))
    table.writerows((name, value, *classes.colours[value]) for value, name in enumerate(classes.names))
    write_text(path, text.getvalue())


def class_list(path: Path, entries: Sequence[Entry], ignore_class: int | None) -> ClassList:
    """Makes classes and coding of what a list says; see `read_class_list`."""
    coloured = [entry for entry in entries if entry.colour is not None]
    if coloured and len(coloured) < len(entries):
        without = next(entry for entry in entries if entry.colour is None)
        raise InputError(f"{without.where}: {shown(without.name)} has no colour, though others have.")
    names = list(dict.fromkeys(entry.name for entry in entries if not entry.ignored))
    if not 2 <= len(names) <= IGNORED:
        raise InputError(f"num_classes must be 2 to {IGNORED}; {path} has {len(names)}.")
    number = {name: position for position, name in enumerate(names)}
    greys = coloured and all(len(set(entry.colour or ())) == 1 for entry in entries)
    values: dict[int, int] = {}
    positions: dict[int, int] = {}
    colours: dict[Colour, int] = {}
    for position, entry in enumerate(entries):
        label = IGNORED if entry.ignored else number[entry.name]
        value = entry.value
        if value is None:
            value = entry.colour[0] if greys and entry.colour else position
            positions[position] = label
        if value <= IGNORED:  # Positions beyond belong to colours alone.
            _add(values, value, label, entry, "value")
        if entry.colour is not None:
            _add(colours, entry.colour, label, entry, "colour")
    if ignore_class is not None:
        values.setdefault(ignore_class, IGNORED)
        if values[ignore_class] == IGNORED:
            positions.setdefault(ignore_class, IGNORED)
    by_position = greys and all(values.get(position, label) == label for position, label in positions.items())
    own = {entry.name: entry.colour for entry in reversed(entries) if entry.colour is not None}
    palette = tuple(own[name] for name in names) if own and not greys else distinct_colours(len(names))
    coding = LabelCoding(values, colours, IGNORED, otherwise=positions if by_position else {})
    return ClassList(Classes(tuple(names), palette, IGNORED), coding)


def _add(classes: dict[Any, int], key: Any, label: int, entry: Entry, kind: str) -> None:
    if key in classes:
        raise InputError(f"{entry.where}: {shown(entry.name)} has the {kind} {key}, which another entry has too.")
    classes[key] = label


def _read_csv(path: Path) -> list[Entry]:
    text = read_text(path, "a table of classes")
    lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty; a line a class is expected: name,r,g,b.")
    delimiter = max(",;\t", key=lines[0][1].count)
    cells = [next(csv.reader([line], delimiter=delimiter, skipinitialspace=True)) for _, line in lines]
    header, first = [cell.strip().lower() for cell in cells[0]], 1
    if not set(header) & set(NAME):
        header, first = ["name", "r", "g", "b", "ignored"], 0
    entries = []
    for (number, _), found in list(zip(lines, cells, strict=True))[first:]:
        where = f"{path}, line {number}"
        if len(found) > len(header):
            raise InputError(f"{where}: {len(found)} columns, where {len(header)} are named.")
        entries.append(_entry(where, {key: cell.strip() for key, cell in zip(header, found, strict=False)}))
    return entries


def _read_json(path: Path) -> list[Entry]:
    content = read_json(path, "a list of classes")
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
    if not is_printable(name):
        raise InputError(f"{where}: the name {shown(name)} holds a character that cannot be shown.")
    colour = _find(cells, COLOUR)
    if colour in (None, ""):
        parts = [_find(cells, part) for part in PARTS]
        colour = None if all(part in (None, "") for part in parts) else parts
    ignored = str(_find(cells, IGNORED_COLUMN) or "").strip().lower()
    if ignored not in YES + NO:
        raise InputError(f"{where}: ignored must be yes or no, not {shown(ignored)}.")
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
        raise InputError(f"{where}: a colour is three numbers 0 to 255 or #rrggbb, not {shown(written)}.")
    red, green, blue = (_byte(where, part, "colour") for part in parts)
    return red, green, blue


def _byte(where: str, written: Any, kind: str) -> int:
    text = "" if written is None else str(written).strip()
    digits = text.lstrip("0") or "0"
    if not (text.isascii() and text.isdigit() and len(digits) <= 3 and int(digits) <= 255):
        raise InputError(f"{where}: a {kind} is made of whole numbers 0 to 255, not {shown(text)}.")
    return int(digits)
