"""`map` in other threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 4
"""Results of each worker that may wait to be asked for: enough to even out a slow disk."""


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Generator[Result, None, None]:
    """What a function returns for each item, in order, computed in other threads while the caller works on.

    At most `AHEAD` results of each worker wait, so `items` may be endless. Closing the generator
    (`contextlib.closing`) drops what is not begun.

    Args:
        function: is called in the threads; reading and decoding let several run at once.
        items: one call each; read in the caller's thread.
        workers: number of threads. Default: one for each CPU.
    """
    workers = workers or os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > AHEAD * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
