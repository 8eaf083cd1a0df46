"""Shows a training run: a bar for the epoch that runs, a line for each one that is done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import keras
from rich.progress import Progress, TextColumn

from keras_segnet.cli.screen import bar, say


class TrainingProgress(keras.callbacks.Callback):
    """Bar and lines for `model.fit(..., verbose=0)`.

    Args:
        epochs: of the whole run.
        steps: an epoch.
    """

    def __init__(self, epochs: int, steps: int) -> None:
        super().__init__()
        self.epochs = epochs
        self.steps = steps
        self.display: Progress | None = None
        self.task: Any = None
        self.started = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.started = time.monotonic()
        self.display = bar(TextColumn("loss {task.fields[loss]}"))
        self.task = self.display.add_task(f"Epoch {epoch + 1} of {self.epochs}", total=self.steps, loss="-")
        self.display.start()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if self.display is not None:
            self.display.update(self.task, completed=batch + 1, loss=f"{(logs or {}).get('loss', float('nan')):.3f}")

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        if self.display is not None:
            self.display.update(self.task, description="Validating", total=self.steps, completed=self.steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.close()
        values = {key: float(value) for key, value in (logs or {}).items()}
        say(
            f"Epoch {epoch + 1:>3}/{self.epochs}  loss {values['loss']:.3f}; "
            f"validation: loss {values['val_loss']:.3f}, "
            f"global accuracy {100 * values['val_global_accuracy']:.1f} %, "
            f"class average {100 * values['val_class_average_accuracy']:.1f} %, "
            f"mean IoU {100 * values['val_mean_iou']:.1f} %  ({time.monotonic() - self.started:.0f} s)"
        )

    def progress(self, items: Iterable[Any], total: int, description: str) -> Iterator[Any]:
        """Shows how far a pass is that is made within an epoch; see `keras_segnet.progress.Progress`."""
        for done, item in enumerate(items):
            if self.display is not None:
                self.display.update(self.task, description=description, total=total, completed=done)
            yield item

    def close(self) -> None:
        """Takes the bar off the screen."""
        if self.display is not None:
            self.display.stop()
            self.display = None
