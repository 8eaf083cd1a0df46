"""Bulk prediction on the machines of a Ray cluster, all of which see the same files."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.inference.bulk import Input, label_all
from keras_segnet.inference.segmenters import Segmenter
from keras_segnet.pictures.overlays import Paint

INPUTS_AT_ONCE = 8
"""Number of inputs that a machine is given at a time.

Enough to overlap reading, labelling and writing, few enough to share out well.
"""


def label_on_ray(
    address: str,
    load: Callable[[], Segmenter],
    inputs: list[Input],
    output: Path,
    paint: Paint,
    write: str = "both",
    resume: bool = False,
) -> Iterator[str]:
    """Does what `label_all` does, on all machines of a Ray cluster (Ray Data).

    Each machine has one worker, which loads the network once. Ray gives to others what a lost machine had not finished.

    Args:
        address: of the cluster, as `ray.init` takes it: "auto" for the one that this machine is in, `ray://HOST:PORT`
            for another; or "local", which starts one here for as long as it takes.
        load: opens the network. It is called on each machine, so files that it opens must be there under that path.
        inputs: of `find_inputs`, whose paths all machines must see.
        output: the folder, which all machines must see.
        paint: as `label_all` takes it.
        write: as `label_all` takes it.
        resume: as `label_all` takes it.

    Gives the name of each image and video when done, in no order.

    Raises:
        InputError: Ray is not installed, there is no such cluster, a machine of it has no keras_segnet, or as
            `label_all`.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("`ray` needs Ray: pip install keras-segnet[ray].")
    if not inputs:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # It would tell its makers.
    import ray

    # Theirs are defaults for other work: lines of each worker on this screen, and a web server.
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    options |= {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, runtime_env={"env_vars": {"KERAS_BACKEND": keras.backend.backend()}}, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"`ray` {address}: {str(error).strip().splitlines()[0]}") from error
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        parts = -(-len(inputs) // INPUTS_AT_ONCE)
        rows = [{"path": str(each.path.absolute()), "name": each.name} for each in inputs]
        done = ray.data.from_items(rows, override_num_blocks=parts).map_batches(
            _Worker,
            fn_constructor_args=(load, output.absolute(), paint, write, resume),
            batch_size=None,
            concurrency=min(parts, sum(node["Alive"] for node in ray.nodes())),
        )
        for batch in done.iter_batches(batch_size=None):
            for name, fault in zip(batch["name"], batch["fault"], strict=True):
                if fault:
                    raise InputError(str(fault))
                yield str(name)
    except ray.exceptions.RayError as error:
        raise InputError(f"`ray` {address}: a worker failed: {str(error).strip().splitlines()[-1]}") from error
    finally:
        ray.shutdown()


class _Worker:
    def __init__(self, load: Callable[[], Segmenter], output: Path, paint: Paint, write: str, resume: bool) -> None:
        self.segmenter = load()
        self.output = output
        self.paint = paint
        self.write = write
        self.resume = resume

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[str]]:
        inputs = [Input(Path(path), name) for path, name in zip(batch["path"], batch["name"], strict=True)]
        fault = ""
        try:
            for _ in label_all(self.segmenter, inputs, self.output, self.paint, self.write, self.resume):
                pass
        except InputError as error:
            # As a row, because Ray would wrap an error into several of its own.
            fault = str(error)
        return {"name": [each.name for each in inputs], "fault": [fault] * len(inputs)}
