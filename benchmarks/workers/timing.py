"""What the workers share: the task from the command line, the clock, and whose turn it is."""

import json
import sys
import time


def task():
    """The task that the driver gives as JSON."""
    wait_for_turn()
    return json.loads(sys.argv[1])


def wait_for_turn():
    """Until the driver says that the others are at rest."""
    print("turn", flush=True)
    sys.stdin.readline()


def clock(function, repeats, warmup=2):
    """Milliseconds of each of `repeats` calls; `function` returns when its work is done."""
    for _ in range(warmup):
        function()
    times = []
    for _ in range(repeats):
        wait_for_turn()
        start = time.perf_counter()
        function()
        times.append(1e3 * (time.perf_counter() - start))
    return times


def answer(**figures):
    """Prints lists of figures for the driver."""
    print(json.dumps(figures), flush=True)
