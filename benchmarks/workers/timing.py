"""What the workers share: the task from the command line, and the clock."""

import json
import sys
import time


def task():
    """The task that the driver gives as JSON."""
    return json.loads(sys.argv[1])


def clock(function, repeats, warmup=2):
    """Milliseconds of each of `repeats` calls; `function` returns when its work is done."""
    for _ in range(warmup):
        function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def answer(**figures):
    """Prints lists of figures for the driver, which reads the last line."""
    print(json.dumps(figures))
