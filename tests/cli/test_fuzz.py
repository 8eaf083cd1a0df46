"""Files of every kind that is read, damaged by fixed seeds: each is read, or refused in one line that names it.

`python tests/cli/fuzz.py --minutes 10` tries others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from readers import CSV, JSON, READERS, read, trial

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # Pillow thinks aloud.


@pytest.mark.parametrize("name", READERS)
def test_damaged_files(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    assert read(reader, tmp_path, reader.whole()) is None
    lines = [trial(reader, tmp_path, seed) for seed in range(reader.seeds)]
    assert sum(line is not None for line in lines) >= reader.refuses


def other_compression(content: bytes, method: int) -> bytes:
    """A zip whose members say that they are compressed by another method."""
    changed = bytearray(content)
    for mark, place in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        start = changed.find(mark)
        while start >= 0:
            changed[start + place : start + place + 2] = method.to_bytes(2, "little")
            start = changed.find(mark, start + 4)
    return bytes(changed)


def broken_stream(content: bytes) -> bytes:
    """A zip in which a member's compressed bytes begin with an impossible block."""
    start = content.find(b"PK\3\4")
    data = start + 30 + sum(int.from_bytes(content[start + place : start + place + 2], "little") for place in (26, 28))
    return content[:data] + b"\xff" * 8 + content[data + 8 :]


KNOWN: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "a long field": ("classes.csv", lambda _: b"name,r,g,b\n" + b"x" * 200_000 + b",1,2,3\n", "field limit"),
    "a long colour": ("classes.csv", lambda _: b"name,r,g,b\na,1,2,3\nb,1,2," + b"9" * 5000, "0 to 255, not '999"),
    "a long value": ("classes.csv", lambda _: b"name,value\na,0\nb," + b"0" * 5000 + b"256", "0 to 255"),
    "a long number": ("classes.json", lambda _: b'[{"name": "a", "value": ' + b"9" * 5000 + b"}]", "digits"),
    "deep lists": ("classes.json", lambda _: b"[" * 100_000, "recursion"),
    "deep colours": ("classes.json", lambda _: b'[{"name": "a", "rgb": ' + b"[" * 900 + b"]" * 900 + b"}]", "three"),
    "a lone surrogate": ("classes.json", lambda _: JSON.replace(b"road", b"\\ud800"), "cannot be shown"),
    "a control character": ("classes.csv", lambda _: CSV.replace(b"road", b"\x1b[31m"), "cannot be shown"),
    "NUL": ("classes.csv", lambda _: CSV.replace(b"road", b"a\0b"), "cannot be shown"),
    "too many digits": ("config.json", lambda c: c.replace(b"4}", b"9" * 5000 + b"}"), "digits"),
    "a large number": ("config.json", lambda c: c.replace(b"null", b"9" * 400), "learning_rate"),
    "a long row": ("metrics.csv", lambda c: c + b"3,0.1,0.1," + b"1" * 200_000, "field limit"),
    "a damaged stream": ("npz", broken_stream, "Error"),
    "an unknown compression": ("npz", lambda content: other_compression(content, 99), "compression"),
    "LZMA that is none": ("npz", lambda content: other_compression(content, 14), ""),
}  # fmt: skip


@pytest.mark.parametrize("case", KNOWN)
def test_files_that_ended_in_a_traceback(case: str, tmp_path: Path) -> None:
    name, change, expected = KNOWN[case]
    line = read(READERS[name], tmp_path, change(READERS[name].whole()))
    assert line is not None and expected in line, line


VALUES = [None, -1, 0, 1e400, 10**30, 10**400, "", "x" * 1000, [], [1], [1, "2"], {}, True, [[]], "24x32", [10**6] * 2]


def test_settings_of_other_kinds(tmp_path: Path) -> None:
    """Every setting of config.json with every value that JSON can hold: most are refused."""
    reader = READERS["config.json"]
    config = json.loads(reader.whole())
    contents = [json.dumps({**config, key: value}).encode() for key in config for value in VALUES]
    contents += [b"[]", b"7", b"null", b"{}", b"\xff\xfe", b'{"epochs": 3}']
    lines = [read(reader, tmp_path, content) for content in contents]
    assert sum(line is not None for line in lines) > 60
    assert None not in lines[-6:]


@pytest.mark.parametrize("name", ["[/red]", "[bold]x[/bold]", ":car:", "[link=file:///]", "\\[", "a b"])
def test_a_name_is_shown_as_it_is(name: str, tmp_path: Path) -> None:
    """The reader prints what it read, and compares; see `readers._read_folder`."""
    assert read(READERS["classes.json"], tmp_path, JSON.replace(b"road", json.dumps(name)[1:-1].encode())) is None
