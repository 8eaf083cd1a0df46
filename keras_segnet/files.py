"""Files as a whole: written so that a kill leaves no half of one, lists read line by line, and names for files."""

from __future__ import annotations

import contextlib
import json
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from keras_segnet.errors import InputError, shown


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a place beside `path` to write to, and moves what is there to `path` at the end.

    A kill at any moment leaves at `path` what was there before, or all of the new; at worst the place beside it is left
    over, until it is written to again. An error leaves nothing new.

    Raises:
        InputError: it cannot be written: no such folder, no permission, a full disk.
    """
    partial = path.with_name(f"{path.stem}{PARTIAL}{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


PARTIAL = ".partial"
"""Part of a file's name until the file is complete."""


@contextlib.contextmanager
def reading(path: Path, fault: str) -> Iterator[None]:
    """Turns whatever somebody else's reader raises on a file into one line that names the file.

    Readers raise errors of any kind on damaged files, and of other kinds in their next version.

    Args:
        path: of the file.
        fault: what an error says of it, such as "cannot be read as a .keras file"; the reader's own words follow.

    Raises:
        InputError: for any exception inside; one that is an `InputError` already stays as it is.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} {fault}: {first_line(error)}") from error


LONGEST = 300
"""Largest number of characters of quoted text in a message."""


def first_line(error: BaseException) -> str:
    """What an error says in its first line, or its kind if it says nothing."""
    said = (str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error)).strip()
    line = said.splitlines()[0] if said else type(error).__name__
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file; see `whole_file`. What is no Unicode, as file names may be, is written as escapes."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_text(path: Path, what: str) -> str:
    """Reads a UTF-8 text file, of which an error says `what` it should be.

    Raises:
        InputError: there is no such file, or it is no text.
    """
    with reading(path, f"cannot be read as {what}"):
        try:
            return path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise InputError(f"{path} does not exist; {what} is expected there.") from None
        except UnicodeDecodeError as error:
            raise InputError(f"{path} cannot be read as {what}: byte {error.start} is not UTF-8 text.") from error


def read_json(path: Path, what: str) -> Any:
    """Reads a JSON file, of which an error says `what` it should be.

    Raises:
        InputError: there is no such file, or it is no JSON, or numbers in it are too long or lists too deep.
    """
    text = read_text(path, what)
    with reading(path, "is no JSON"):
        return json.loads(text)


def read_lines(path: Path, what: str) -> list[tuple[int, str]]:
    """The lines of a text file that are not blank, stripped, each with its number counted from 1.

    Raises:
        InputError: as for `read_text`; or a line holds a control character, as no name does that is to be shown.
    """
    lines = [(number, line.strip()) for number, line in enumerate(read_text(path, what).splitlines(), start=1)]
    for number, line in lines:
        if not is_printable(line.replace("\t", " ")):
            raise InputError(f"{path}, line {number}: {shown(line)} holds a control character.")
    return [(number, line) for number, line in lines if line]


def is_printable(text: str) -> bool:
    """Whether a text holds no control character and no lone surrogate, which no screen and no UTF-8 file takes."""
    return all(unicodedata.category(character) not in ("Cc", "Cs") for character in text)


NOT_IN_FILE_NAMES = frozenset('/\\:*?"<>|')
"""Characters that Windows does not allow in a file name."""


def same_file_key(name: str) -> str:
    """A text that is the same for two names that some file system takes for one.

    macOS and Windows ignore case, and macOS how accents are encoded.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def unique_file_names(names: Iterable[str]) -> list[str]:
    """A file name for each name, without extension, no two of which are one file on any file system.

    A name stays as it is where it can. Characters that no file name may hold, and those that break a list of names
    (line ends, control characters, lone surrogates), become `_`; of names that are alike the second and later ones get
    a number.

    >>> unique_file_names(["a/b", "a_b", "A_B", "c"])
    ['a_b', 'a_b_2', 'A_B_3', 'c']
    """
    chosen: list[str] = []
    wanted = [_file_name(name) for name in names]
    taken = {same_file_key(name) for name in wanted}
    seen: dict[str, int] = {}
    for name in wanted:
        number = seen[same_file_key(name)] = seen.get(same_file_key(name), 0) + 1
        unique = name
        while number > 1 and same_file_key(unique := f"{name}_{number}") in taken:
            number += 1
        taken.add(same_file_key(unique))
        seen[same_file_key(name)] = number
        chosen.append(unique)
    return chosen


def _file_name(name: str) -> str:
    kept = "".join(
        "_" if letter in NOT_IN_FILE_NAMES or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") else letter
        for letter in name
    ).strip()
    # A dot in front hides a file from `find_images`, as it does from people.
    return "_" + kept[1:] if kept[:1] in ("", ".") else kept
