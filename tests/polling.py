"""Waiting for what another process does, for a limited time."""

import time
from collections.abc import Callable


def wait_until(reached: Callable[[], bool], seconds: float = 300) -> None:
    """Returns as soon as something is so, and fails if it is not so in time."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"it was not so within {seconds} s"
        time.sleep(0.005)
