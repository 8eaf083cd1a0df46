"""Where a run computes: one device, several of one machine (TensorFlow), or several machines (JAX).

Either way a step means what it means on one device. Each device takes an equal part of the batch; statistics of batch
normalisation, the number of valid pixels that the loss divides by, and metrics are those of the whole batch.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from keras_segnet.errors import InputError

STATUS = re.compile("(ABORTED|CANCELLED|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|UNKNOWN): ")
"""Beginning of JAX's error message when the processes have lost each other."""


class ProcessLostError(Exception):
    """Training with other processes cannot go on; start all of them again."""


@dataclass(frozen=True)
class Share:
    """Which part of each batch this process reads.

    Attributes:
        process: number of this process, from 0, which writes the run's files.
        processes: number of processes.
        devices: number of devices of all of them, into whose number a batch must divide.
    """

    process: int = 0
    processes: int = 1
    devices: int = 1

    @property
    def writes(self) -> bool:
        return self.process == 0


def current_share() -> Share:
    """This process's share, by what `mirrored` or `joined` has set up."""
    if keras.backend.backend() == "jax" and keras.distribution.distribution() is not None:
        import jax

        return Share(jax.process_index(), jax.process_count(), jax.device_count())
    return Share(devices=_replicas())


def _replicas() -> int:
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def place(
    devices: str | None, coordinator: str | None, processes: int, process: int
) -> contextlib.AbstractContextManager[None]:
    """Where a run is to compute: `mirrored` with `devices`, `joined` with a `coordinator`, else as it is.

    Raises:
        InputError: the arguments do not go together.
    """
    if coordinator is None:
        if (processes, process) != (1, 0):
            raise InputError("`processes` and `process` need `coordinator`, where process 0 listens.")
        return contextlib.nullcontext() if devices is None else mirrored(devices)
    if devices is not None:
        raise InputError("`devices` is for one machine; with `coordinator`, all devices of each are used.")
    return joined(coordinator, processes, process)


@contextlib.contextmanager
def mirrored(devices: str) -> Iterator[None]:
    """While active, models are built on several devices of this machine, with TensorFlow's `MirroredStrategy`.

    Args:
        devices: "all", or how many; GPUs if there are any, else CPUs.

    Raises:
        InputError: there are not as many, or the backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"`devices` is for TensorFlow and KERAS_BACKEND is {keras.backend.backend()}; see `coordinator` for JAX."
        )
    import tensorflow as tf

    found = [device.name for kind in ("GPU", "CPU") for device in tf.config.list_logical_devices(kind)]
    gpus = len(tf.config.list_logical_devices("GPU"))
    usable = found[:gpus] if gpus else found
    if devices != "all" and not (devices.isascii() and devices.isdigit() and 1 <= int(devices) <= len(usable)):
        raise InputError(f"`devices` {devices}: must be 'all' or 1 to {len(usable)}, as many as there are here.")
    chosen = usable if devices == "all" else usable[: int(devices)]
    # TensorFlow's collective ops are made for GPUs; on processors they wait for each other most of the time.
    reduction = None if gpus else tf.distribute.ReductionToOneDevice()
    with tf.distribute.MirroredStrategy(chosen, cross_device_ops=reduction).scope():
        yield


@contextlib.contextmanager
def joined(coordinator: str, processes: int, process: int) -> Iterator[None]:
    """While active, models are built on the devices of several processes, one a machine, with JAX.

    Begins when all processes are there. Nothing may have been computed before.

    Args:
        coordinator: `HOST:PORT` of process 0, which all machines must reach.
        processes: how many there are.
        process: which this one is, from 0.

    Raises:
        InputError: the backend is not JAX, the numbers do not go together, or not all processes come.
        ProcessLostError: JAX could not go on within, as when another process has ended.
    """
    if keras.backend.backend() != "jax":
        raise InputError(f"`coordinator` is for JAX; KERAS_BACKEND is {keras.backend.backend()}.")
    if not 0 <= process < processes:
        raise InputError(f"`process` {process}: must be 0 to {processes - 1}, one less than `processes`.")
    import jax

    # With it, SIGTERM would no longer end a process.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        keras.distribution.initialize(coordinator, processes, process)
    except RuntimeError as error:
        raise InputError(f"`coordinator` {coordinator}: {_first_line(error)}") from error
    try:
        with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
            yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        # A connection that breaks raises either, with a status in front.
        if not STATUS.match(str(error)):
            raise
        raise ProcessLostError(
            f"process {process} of {processes} cannot go on; another may have ended: {_first_line(error)}"
        ) from error
    # Now, while all are here: at its exit, a process would wait for the report that process 0 still writes.
    jax.distributed.shutdown()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]


@contextlib.contextmanager
def undistributed() -> Iterator[None]:
    """While active, variables that are made are this process's own, and the others need not make them too."""
    distribution = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def synchronize(model: keras.Model) -> None:
    """Makes batch normalisation take its statistics from all of TensorFlow's devices, if there are several.

    JAX needs no word, for to it a batch is one array.
    """
    _set_synchronized(model, _replicas() > 1)


@contextlib.contextmanager
def unsynchronized(model: keras.Model) -> Iterator[None]:
    """While active, `synchronize` is undone, for saving: other backends do not read a file that holds it."""
    _set_synchronized(model, False)
    try:
        yield
    finally:
        synchronize(model)


def _set_synchronized(model: keras.Model, together: bool) -> None:
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = together


def sum_over_devices(value: Any) -> Any:
    """Sum of a scalar over the parts of a batch that TensorFlow's devices work on; elsewhere the value itself."""
    if _replicas() == 1:
        return value
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return value if context is None else context.all_reduce(tf.distribute.ReduceOp.SUM, value)
