"""Whole networks at 360x480: ours and the peers in one run.

    make benchmark-environments
    .venv/bin/python benchmarks/networks.py

On a GPU, from an environment with JAX and one with PyTorch, `--backend jax --precision mixed_bfloat16 --batch 12`.
"""

from typing import Annotated

import typer
from side_by_side import Contender, available, console, measure, show


def contenders_for(backend: str, precision: str) -> list[Contender]:
    """Ours, the limit without indices, the layer that others use, and PyTorch."""
    if backend == "tensorflow":
        environment = ".venv"
        keras = [
            ("ours", "ours", False),
            ("no indices", "none", False),
            ("ours, XLA", "ours", True),
            ("no indices, XLA", "none", True),
            ("Keras, scatter_nd", "scatter_nd", False),
        ]
        torch = [
            ("PyTorch, NCHW", "nchw", False),
            ("PyTorch, channels_last", "channels_last", False),
            ("PyTorch, channels_last, compiled", "channels_last", True),
        ]
    else:
        environment = f".venv-{backend}"
        keras = [("ours", "ours", "auto"), ("no indices", "none", "auto")]
        torch = [("PyTorch, channels_last, compiled", "channels_last", True)]
    common = {"precision": precision}
    return [
        Contender(name, "with_keras", {"implementation": which, "jit_compile": jit, **common}, environment, backend)
        for name, which, jit in keras
    ] + [
        Contender(name, "with_torch", {"memory_format": layout, "compiled": compiled, **common}, ".venv-torch")
        for name, layout, compiled in torch
    ]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each implementation is started.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="Calls of each, in turn, after two to warm up.")] = 3,
    batch: Annotated[int, typer.Option(min=1, help="Images a call.")] = 1,
    network: Annotated[list[str] | None, typer.Option(help="Which; may be given again.")] = None,
    backend: Annotated[str, typer.Option(help="Of Keras: tensorflow, or jax as on a GPU.")] = "tensorflow",
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    peak: Annotated[float | None, typer.Option(help="TFLOP/s of the machine, to show the share reached.")] = None,
) -> None:
    """Prints medians of a prediction and of a training step, and their ratios to ours."""
    contenders = available(contenders_for(backend, precision))
    for name in network or ["segnet_basic", "segnet"]:
        task = {"task": "network", "network": name, "size": (360, 480), "batch": batch, "repeats": repeats}
        figures = measure(contenders, task, rounds)
        multiply_adds = max(found.pop("multiply-adds").median for found in figures.values() if "multiply-adds" in found)
        show(f"{name}, {batch}x360x480, {precision}", figures, "ms")
        for contender, found in figures.items():
            # Two operations each, and a step goes through the network once forward and twice, in effect, backward.
            reached = 6 * multiply_adds / (found["train step"].median * 1e-3) / 1e12
            share = f", {100 * reached / peak:.1f} % of {peak:g}" if peak else ""
            console.print(f"{contender}: training at {reached:.2f} TFLOP/s{share}")


if __name__ == "__main__":
    typer.run(main)
