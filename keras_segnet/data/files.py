"""Finding and reading the files of a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keras_segnet.data.images import EXTENSIONS
from keras_segnet.errors import InputError
from keras_segnet.files import read_lines

OnFault = Callable[[str], None]
"""Function that is told of a fault in one example. If it returns, loaders go on without the example."""


def refuse(fault: str) -> None:
    """What loaders do about a fault where nothing else is said: raise it as an `InputError`."""
    raise InputError(fault)


def read_names(path: Path) -> list[tuple[int, str]]:
    """The names in a list, one a line, each with the number of its line, without what is blank.

    Raises:
        InputError: the list is missing or empty, or no text; or a line holds a control character.
    """
    names = read_lines(path, "a list of names")
    if not names:
        raise InputError(f"{path} is an empty split; it names no image.")
    return names


def find_images(folder: Path, on_fault: OnFault = refuse) -> dict[str, Path]:
    """The images below a folder, folders in it too, by name: the path from the folder on, without extension.

    Hidden files and folders, such as `.ipynb_checkpoints` and the `._` files of macOS, are left out.

    Raises:
        InputError: there is no image; or, unless `on_fault` does something else about it, two have one name.
    """
    found: dict[str, Path] = {}
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if file.suffix.lower() not in EXTENSIONS or any(part.startswith(".") for part in inside.parts):
            continue
        name = inside.with_suffix("").as_posix()
        if name in found:
            on_fault(f"{found[name]} and {file} have one name; an image and its label belong together by it.")
        else:
            found[name] = file
    if not found:
        raise InputError(f"{folder} holds no image ({', '.join(sorted(EXTENSIONS))}).")
    return found


def without_extension(name: str) -> str:
    """A name from a list as `find_images` has it."""
    name = name.replace("\\", "/")
    extension = Path(name).suffix
    return name[: -len(extension)] if extension.lower() in EXTENSIONS else name
