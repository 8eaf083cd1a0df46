"""Ctrl-C during training: the step that runs is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

import keras

from keras_segnet.progress import Progress


class Interruption(keras.callbacks.Callback):
    """Raises KeyboardInterrupt after the step in which Ctrl-C was pressed; a second Ctrl-C raises it at once.

    Python raises it wherever the main thread is. Where that is Python that a framework's C++ has called, as in tracing
    and compiling, nothing can catch it and the process is aborted.

    A context manager around `model.fit`, and the last of its callbacks, so that what the others write at the end of an
    epoch is whole. Where Ctrl-C has been given another meaning, or in a thread that is not the main one, it stays as it
    is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = False
        self._installed = False

    def __enter__(self) -> Self:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if kind is None:
            self.check()

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C has been pressed."""
        if self.asked:
            raise KeyboardInterrupt

    def between(self, progress: Progress) -> Progress:
        """`progress` that can be stopped before each of its items."""

        def checked(items: Iterable[Any], total: int, description: str) -> Iterator[Any]:
            for item in progress(items, total, description):
                self.check()
                yield item

        return checked

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.check()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.check()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.check()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True


__all__ = ["Interruption"]
