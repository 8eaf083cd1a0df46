"""What folding batch normalisation into convolutions saves of a prediction, as `evaluate` and `predict` do it.

    .venv/bin/python benchmarks/folding.py segnet_edge

Both models take turns in one process.
"""

from __future__ import annotations

import os
import time
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import typer
from side_by_side import beside_first, show

from keras_segnet.models import build
from keras_segnet.models.folding import fold_batch_normalization


def main(
    network: Annotated[str, typer.Argument(help="Registry name.")],
    batch: Annotated[int, typer.Option(min=1, help="Images a call.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Calls of each, in turn, after two to warm up.")] = 11,
) -> None:
    """Prints medians of a prediction at 360x480, and their ratio."""
    model = build(network)
    models = {"as built": model, "folded": fold_batch_normalization(model)}
    x = np.random.default_rng(0).integers(0, 256, (batch, 360, 480, 3)).astype("float32")
    times: dict[str, dict[str, list[float]]] = {name: {"predict": []} for name in models}
    for turn in range(repeats + 2):
        for name, each in models.items():
            start = time.perf_counter()
            each.predict_on_batch(x)
            if turn >= 2:
                times[name]["predict"].append(1e3 * (time.perf_counter() - start))
    show(f"{network}, {batch}x360x480, float32", beside_first(times), "ms")


if __name__ == "__main__":
    typer.run(main)
