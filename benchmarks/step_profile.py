"""Where a training step's time goes: its ops by share, and how near its convolutions come to the machine's own speed.

    .venv/bin/python benchmarks/step_profile.py segnet
    .venv/bin/python benchmarks/step_profile.py segnet_basic --precision mixed_bfloat16 --batch 12

The step is that of `keras-segnet train`, with its optimiser, loss, metrics and deterministic ops, under TensorFlow on a
CPU. Ops run one after the other, each on all cores, so that their times add up. The machine's own speed is that of
single 3x3 convolutions of the same precision, forward and both gradients, that take turns with the steps.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
import typer
from rich.console import Console
from rich.table import Table
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from keras_segnet.data.dataset import Classes
from keras_segnet.models.graph import summarize
from keras_segnet.training.configuration import RunConfig
from keras_segnet.training.network import build_for_training

REFERENCES = ((180, 240, 64), (90, 120, 128), (45, 60, 256))
"""Height, width, and channels in and out of the convolutions that give the machine's own speed."""

ENCLOSING = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile"}
"""Ops whose time is that of the ops within them."""

console = Console(width=120)


def main(
    network: Annotated[str, typer.Argument(help="Registry name.")],
    precision: Annotated[str, typer.Option(help="float32 or mixed_bfloat16.")] = "float32",
    batch: Annotated[int, typer.Option(min=1, help="Images a step.")] = 4,
    size: Annotated[tuple[int, int], typer.Option(help="Height and width.")] = (360, 480),
    optimizer: Annotated[str, typer.Option(help="muon, adamw or sgd.")] = "muon",
    ema_momentum: Annotated[float | None, typer.Option(help="Average the weights too.")] = None,
    deterministic: Annotated[bool, typer.Option(help="As in keras-segnet train.")] = True,
    steps: Annotated[int, typer.Option(min=1, help="Steps that are measured, after two to warm up.")] = 3,
    rows: Annotated[int, typer.Option(min=1, help="Kinds of op that are shown.")] = 15,
) -> None:
    """Prints the kinds of op of one training step by share of their time."""
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(0)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    classes = Classes(tuple(f"class {i}" for i in range(11)), tuple((i, i, i) for i in range(11)))
    config = RunConfig(
        "streets", model=network, input_size=size, batch_size=batch, optimizer=optimizer, ema_momentum=ema_momentum,
        precision=precision,
    )  # fmt: skip
    model = build_for_training(config, classes, steps=100)
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (batch, *size, 3)).astype("float32")
    y = random.integers(0, 11, (batch, *size)).astype("int32")
    references = [Reference(*shape, batch, keras.DTypePolicy(precision).compute_dtype) for shape in REFERENCES]

    for _ in range(2):
        model.train_on_batch(x, y)
    times: Counter[str] = Counter()
    speeds: list[float] = []
    for _ in range(steps):
        speeds += [reference.speed() for reference in references]
        times += op_times(lambda: model.train_on_batch(x, y))
    title = f"{network}, {batch}x{size[0]}x{size[1]}, {precision}, {optimizer}: {sum(times.values()) / steps:.0f} ms"
    show(title, times, steps, rows)
    in_convolutions = sum(taken for kind, taken in times.items() if is_convolution(kind)) / steps
    # Two operations for each multiply-add, once forward and twice backward.
    reached = 6 * batch * summarize(model).multiply_adds / in_convolutions / 1e6
    own = statistics.median(speeds)
    console.print(
        f"Convolutions take {100 * in_convolutions * steps / sum(times.values()):.0f} % of the step, at {reached:.0f} "
        f"GFLOP/s: {100 * reached / own:.0f} % of the machine's own {own:.0f} GFLOP/s "
        f"(from {min(speeds):.0f} to {max(speeds):.0f})."
    )


class Reference:
    """A 3x3 convolution by itself, forward and both gradients."""

    def __init__(self, height: int, width: int, channels: int, batch: int, dtype: str) -> None:
        self.operations = 6 * batch * height * width * 9 * channels**2
        random = np.random.default_rng(0)
        x = tf.cast(random.normal(size=(batch, height, width, channels)), dtype)
        kernel = tf.cast(random.normal(size=(3, 3, channels, channels)), dtype)

        @tf.function
        def run() -> Any:
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = tf.nn.conv2d(x, kernel, 1, "SAME")
            return tape.gradient(y, [x, kernel], x)

        self.run = run
        op_times(run)

    def speed(self) -> float:
        """In GFLOP/s, once."""
        return self.operations / sum(taken for kind, taken in op_times(self.run).items() if is_convolution(kind)) / 1e6


def op_times(function: Callable[[], Any]) -> Counter[str]:
    """Milliseconds in each kind of op while a function runs."""
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            function()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    times: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            # TensorFlow's threads that run ops, each of which is an event "NODE:KIND".
            for event in line.events if line.name.startswith("tf_Compute") else ():
                node, colon, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
                if colon and not node.endswith(":") and kind not in ENCLOSING:
                    times[kind.removeprefix("_MklNative").removeprefix("_Mkl")] += event.duration_ps / 1e9
    return times


def is_convolution(kind: str) -> bool:
    """Those of `_MklNative...WithBias` and `_Fused...` also add biases or apply a ReLU."""
    return "Conv2D" in kind or "DepthwiseConv" in kind


def show(title: str, times: Counter[str], steps: int, rows: int) -> None:
    table = Table(title=title, title_justify="left")
    for column in ("op", "ms", "share, %"):
        table.add_column(column, justify="left" if column == "op" else "right")
    total = sum(times.values())
    for kind, taken in times.most_common(rows):
        table.add_row(kind, f"{taken / steps:.1f}", f"{100 * taken / total:.1f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
