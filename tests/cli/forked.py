"""A command in a process that is forked from one with everything imported, so that it starts at once, and its ends."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import tiny_network

from keras_segnet.cli.main import run
from keras_segnet.training.progress import TrainingProgress

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["forked", "keras_segnet.training.train", "cv2"])


def start(arguments: list[str], output: Path, before: Callable[..., None] | None = None, *values: object):
    """Starts `keras-segnet` with these arguments. What it says goes to `output`; `before(*values)` runs first in it."""
    process = SERVER.Process(target=_run, args=(arguments, output, before, values))
    process.start()
    return process


def _run(arguments: list[str], output: Path, before: Callable[..., None] | None, values: tuple[object, ...]) -> None:
    tiny_network.register()
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    # A background job of a shell, which a test run may be, starts its children deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if before is not None:
        before(*values)
    sys.exit(run(arguments))


# What a process can be told to do before it starts.


def die_at_write(folder: Path, moment: int) -> None:
    """Kills this process when it is about to open, rename or remove a file of the folder for the so-manieth time."""
    seen = 0

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event not in ("open", "os.rename", "os.remove") or not str(arguments[0]).startswith(str(folder)):
            return
        if event == "open" and not int(arguments[2]) & (os.O_WRONLY | os.O_RDWR):
            return
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)


def die_within_write(path: Path) -> None:
    """Kills this process once a file has some of its content, but not its name yet."""

    def watch() -> None:
        while not (path.is_file() and path.stat().st_size):
            time.sleep(1e-4)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def fill_disk(most_bytes: int) -> None:
    """Makes writing fail in every file beyond some bytes, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))


def make_two_devices() -> None:
    """Lets TensorFlow see two devices in the processor."""
    import tensorflow as tf

    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)


def press_ctrl_c(moment: str) -> None:
    """Sends this process Ctrl-C at a moment that Keras's callbacks have a name for."""

    def interrupt(self: TrainingProgress, *_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    setattr(TrainingProgress, moment, interrupt)


def press_ctrl_c_at_file(folder: Path, moment: int) -> None:
    """Sends this process Ctrl-C when it opens a file of the folder for the so-manieth time."""
    seen = 0

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event == "open" and str(arguments[0]).startswith(f"{folder}{os.sep}"):
            seen += 1
            if seen == moment:
                os.kill(os.getpid(), signal.SIGINT)

    sys.addaudithook(audit)


def lose_the_loss(epoch: int, step: int) -> None:
    """Makes all weights NaN before a step."""
    seen = [0, 0]

    def begin_epoch(self: TrainingProgress, number: int, logs: object = None) -> None:
        seen[0] = number

    def begin(self: TrainingProgress, batch: int, logs: object = None) -> None:
        if (seen[0], batch) == (epoch, step):
            for variable in self.model.trainable_variables:
                variable.assign(variable * float("nan"))

    TrainingProgress.on_epoch_begin = begin_epoch
    TrainingProgress.on_train_batch_begin = begin
