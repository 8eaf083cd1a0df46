"""Pooling and unpooling alone: ours and the peers in one run.

make benchmark-environments
.venv/bin/python benchmarks/pooling.py
"""

from typing import Annotated

import typer
from side_by_side import Contender, available, measure, show

CONTENDERS = [
    Contender("ours", "with_keras", {"implementation": "ours"}),
    Contender("ours, XLA", "with_keras", {"implementation": "ours", "jit_compile": True}),
    Contender("no indices", "with_keras", {"implementation": "none"}),
    Contender("tensorflow-addons", "with_addons", {}, ".venv-addons"),
    Contender("Keras, scatter_nd", "with_keras", {"implementation": "scatter_nd"}),
    Contender("PyTorch, NCHW", "with_torch", {"memory_format": "nchw"}, ".venv-torch"),
    Contender("PyTorch, channels_last", "with_torch", {"memory_format": "channels_last"}, ".venv-torch"),
]

TASKS = [
    {"size": (360, 480), "batch": 2, "channels": 64},
    {"size": (180, 240), "batch": 2, "channels": 128},
    {"size": (90, 120), "batch": 2, "channels": 256},
    {"size": (44, 60), "batch": 2, "channels": 512},  # Of 45 rows: the peers take no odd number.
]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each implementation is started.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="Calls of each, in turn, after two to warm up.")] = 10,
) -> None:
    """Prints medians of forward, and of forward and backward, and their ratios to ours."""
    contenders = available(CONTENDERS)
    for task in TASKS:
        figures = measure(contenders, {"task": "pooling", **task, "repeats": repeats}, rounds)
        show("{batch}x{size[0]}x{size[1]}x{channels}".format(**task), figures, "ms")


if __name__ == "__main__":
    typer.run(main)
