"""Whole networks at 360x480: ours and the peers in one run.

    make benchmark-environments
    .venv/bin/python benchmarks/networks.py
    .venv/bin/python benchmarks/networks.py --precision mixed_bfloat16

On a GPU, from an environment with JAX and one with PyTorch, `--backend jax --precision mixed_bfloat16 --batch 12`.
"""

from typing import Annotated

import typer
from side_by_side import Contender, available, console, measure, show


def contenders_for(backend: str, precision: str) -> list[Contender]:
    """Ours, the limit without indices, the layer that others use, and PyTorch's own SegNet.

    In bfloat16, ours in float32 too; beside TensorFlow, ours on Keras's other backends.
    """

    def ours(name: str, which: str = "ours", xla: bool = False, on: str = backend, dtype: str = precision) -> Contender:
        settings = {"implementation": which, "jit_compile": xla if on == "tensorflow" else "auto", "precision": dtype}
        return Contender(name, "with_keras", settings, ".venv" if on == "tensorflow" else f".venv-{on}", on)

    def torch(name: str, layout: str = "channels_last", compiled: bool = False) -> Contender:
        settings = {"memory_format": layout, "compiled": compiled, "precision": precision}
        return Contender(f"PyTorch, {name}", "with_torch", settings, ".venv-torch")

    contenders = [ours("ours"), ours("no indices", "none")]
    if precision != "float32":
        contenders.append(ours("ours, float32", dtype="float32"))
    if backend == "tensorflow":
        contenders += [
            ours("ours, XLA", xla=True),
            ours("no indices, XLA", "none", True),
            ours("Keras, scatter_nd", "scatter_nd"),
            ours("ours on JAX", on="jax"),
            ours("ours on PyTorch", on="torch"),
            torch("NCHW", "nchw"),
            torch("channels_last"),
        ]
    return [*contenders, torch("channels_last, compiled", compiled=True)]


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each implementation is started.")] = 3,
    repeats: Annotated[int, typer.Option(min=1, help="Calls of each, in turn, after two to warm up.")] = 3,
    batch: Annotated[int, typer.Option(min=1, help="Images a call.")] = 1,
    network: Annotated[list[str] | None, typer.Option(help="Which; may be given again.")] = None,
    backend: Annotated[str, typer.Option(help="Of Keras: tensorflow, or jax as on a GPU.")] = "tensorflow",
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    beside: Annotated[list[str] | None, typer.Option(help="Rows beside ours; may be given again. All.")] = None,
    peak: Annotated[float | None, typer.Option(help="TFLOP/s of the machine, to show the share reached.")] = None,
) -> None:
    """Prints medians of a prediction and of a training step, and their ratios to ours."""
    ours, *others = contenders_for(backend, precision)
    contenders = available([ours, *(other for other in others if beside is None or other.name in beside)])
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
