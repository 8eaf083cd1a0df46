"""What each head of a .tflite file costs: SegNet of a quarter of the width at 360x480 in LiteRT on the CPU.

.venv/bin/python benchmarks/heads.py
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import typer
from ai_edge_litert.interpreter import Interpreter
from rich.progress import track
from side_by_side import beside_first, console, show

from keras_segnet import build_segnet
from keras_segnet.benchmarking import arena_size
from keras_segnet.catalogue import HEADS
from keras_segnet.exporting import to_tflite
from keras_segnet.exporting.parity import street_images

SIZE = (360, 480)
KINDS = {
    "float32": {},
    "int8, float32 at its ends": {"precision": "int8"},
    "int8, uint8 at its ends": {"precision": "int8", "interface": "uint8"},
}


class Runner:
    """One file: bytes of its `arena` and `output`; `milliseconds` of inference, and with numpy's choice of class."""

    def __init__(self, path: Path, threads: int) -> None:
        self._interpreter = Interpreter(str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        (self._input,), (self._output,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.arena = arena_size(path)
        self.output = int(np.prod(self._output["shape"])) * np.dtype(self._output["dtype"]).itemsize
        self.milliseconds: dict[str, list[float]] = {"inference": [], "with choice of class": []}

    def run(self, image: np.ndarray) -> None:
        given = image[None].astype(self._input["dtype"])
        start = time.perf_counter()
        self._interpreter.set_tensor(self._input["index"], given)
        self._interpreter.invoke()
        output = self._interpreter.get_tensor(self._output["index"])
        self.milliseconds["inference"].append(1e3 * (time.perf_counter() - start))
        if output.ndim == 4:
            output.argmax(axis=-1)
        self.milliseconds["with choice of class"].append(1e3 * (time.perf_counter() - start))


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often each file has its turn.")] = 40,
    threads: Annotated[int, typer.Option(min=1, help="Of LiteRT.")] = 2,
) -> None:
    """Prints medians of inference, alone and with the choice of the best class, and the memory, beside the default."""
    keras.utils.set_random_seed(0)
    model = build_segnet(11, (*SIZE, 3), width=0.25)
    images = street_images(SIZE, 4)
    with tempfile.TemporaryDirectory() as folder:
        runners: dict[tuple[str, str], Runner] = {}
        for kind, options in KINDS.items():
            for head in HEADS:
                path = Path(folder) / f"{len(runners)}.tflite"
                to_tflite(model, path, head=head, **options, representative_data=images, images=images[:1])
                runners[kind, head] = Runner(path, threads)
        for turn in track(range(rounds + 2), description="Taking turns", console=console):
            for runner in runners.values():
                runner.run(images[turn % len(images)])
    for kind in KINDS:
        title, ours = f"SegNet, width 0.25, 1x360x480, {kind}", {head: runners[kind, head] for head in HEADS}
        # The first two turns warm up.
        milliseconds = {head: {what: of[2:] for what, of in it.milliseconds.items()} for head, it in ours.items()}
        show(f"{title}, {threads} threads", beside_first(milliseconds), "ms")
        megabytes = {head: {"arena": [it.arena / 1e6], "output": [it.output / 1e6]} for head, it in ours.items()}
        show(title, beside_first(megabytes), "MB")


if __name__ == "__main__":
    typer.run(main)
