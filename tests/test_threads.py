"""`map` in threads."""

from __future__ import annotations

import itertools
import threading

import pytest

from keras_segnet.errors import InputError
from keras_segnet.threads import in_threads


def test_few_results_are_in_memory_however_many_there_are() -> None:
    """Reading keeps a few ahead of what is asked for, and no more; results come in order; an error comes up."""
    lock, alive, most = threading.Lock(), 0, 0

    def read(number: int) -> int:
        nonlocal alive, most
        with lock:
            alive += 1
            most = max(most, alive)
        if number == 900:
            raise InputError("broken")
        return number

    results = in_threads(read, itertools.count(), workers=2)
    for number in range(900 - 1):
        assert next(results) == number
        with lock:
            alive -= 1
    assert 2 <= most <= 2 * 4 + 2
    with pytest.raises(InputError, match="broken"):
        list(results)
