"""How long a network takes."""

from __future__ import annotations

import time

import numpy as np

from keras_segnet.inference.segmenters import Segmenter


def time_runs(segmenter: Segmenter, batch: np.ndarray, runs: int) -> list[float]:
    """Seconds of each of some runs of the bare network, after one that is not counted."""
    segmenter.infer(batch)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        segmenter.infer(batch)
        seconds.append(time.perf_counter() - start)
    return seconds
