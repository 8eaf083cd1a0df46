"""Keeps the frameworks' log lines off the screen, unless they are the last words of a process that ends by them."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import warnings
from collections import deque
from typing import NoReturn

LAST_LINES = 20
"""Largest number of lines that are kept to be shown."""

OF_NO_USE = re.compile(rb"WARNING: All log|INFO: |[IW]\d{4} |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IW] ")
"""Beginning of a line of absl, TensorFlow or LiteRT that is information or a warning."""

_keeper: int | None = None


def begin() -> None:
    """Points the file descriptor of standard error away, to which C++ writes before any setting is read.

    Python's own standard error gets a copy of the old one. A process of its own keeps the last lines that come, and
    shows them if this process ends without `end`: on a crash in C++, or on an error that leaves a traceback.
    """
    global _keeper
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    sys.stderr.flush()
    shown = os.dup(2)
    taken, given = os.pipe()
    # Nothing has been imported that has threads.
    _keeper = os.fork()
    if _keeper == 0:
        os.close(given)
        _keep_last_lines(taken, shown)
    sys.stderr = os.fdopen(shown, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
    os.close(taken)
    os.dup2(given, 2)
    os.close(given)


def end() -> None:
    """Forgets the frameworks' last lines: this process ends as it should. Does nothing without `begin`."""
    global _keeper
    if _keeper is None:
        return
    os.kill(_keeper, signal.SIGKILL)
    os.waitpid(_keeper, 0)
    _keeper = None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _keep_last_lines(taken: int, shown: int) -> NoReturn:
    for meant_for_all in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(meant_for_all, signal.SIG_IGN)
    for inherited in (0, 1, 2):
        os.close(inherited)
    kept: deque[bytes] = deque(maxlen=LAST_LINES)
    with open(taken, "rb") as lines:
        for line in lines:
            if not OF_NO_USE.match(line):
                kept.append(line)
    os.write(shown, b"".join(kept))
    os._exit(0)
