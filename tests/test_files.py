"""Names of files that come from names of images: no two are one file, on any file system."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_segnet.files import unique_file_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),  # A name that is free already stays.
        (["a/b/c", "a_b_c", "a\\b/c"], ["a_b_c", "a_b_c_2", "a_b_c_3"]),
        (["Road", "road"], ["Road", "road_2"]),
        (["caf\u00e9", "cafe\u0301"], ["caf\u00e9", "cafe\u0301_2"]),
        (["../x", ".x", " x ", ""], ["_._x", "_x", "x", "_"]),
        (["a\nb", "a\ud800", "a\u2028b\0"], ["a_b", "a_", "a_b_"]),
    ],
)
def test_names_that_are_alike_are_numbered(names: list[str], expected: list[str]) -> None:
    assert unique_file_names(names) == expected


@given(st.lists(st.text(st.characters(codec=None), max_size=3) | st.sampled_from(["a", "A", "a_2", "a/2", "."])))
def test_file_names_are_as_many_as_names_and_all_different(names: list[str]) -> None:
    found = unique_file_names(names)
    assert len(found) == len(names)
    assert len({unicodedata.normalize("NFKD", name).casefold() for name in found if name.isascii()}) == len(
        [name for name in found if name.isascii()]
    )
    assert len(set(found)) == len(found)
    for name in found:
        assert name and name[0] != "." and not set(name) & set("/\\\0\n\r")
        assert len(name.encode()) > 0 and (name + "|").splitlines() == [name + "|"] and name == name.strip()
    assert unique_file_names(found) == found
