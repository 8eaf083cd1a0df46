"""Shows a training run: a bar for the epoch that runs, a line for each one that is done."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from keras_segnet.progress import Bar, Display


class TrainingProgress(keras.callbacks.Callback):
    """Bar and lines for `model.fit(..., verbose=0)`.

    Args:
        display: where they are shown.
        epochs: of the whole run.
        steps: an epoch.
    """

    def __init__(self, display: Display, epochs: int, steps: int) -> None:
        super().__init__()
        self.display = display
        self.epochs = epochs
        self.steps = steps
        self.bar = Bar()
        self.description = ""
        self.started = 0.0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.display.say(
            "The first steps compile the network, which takes up to two minutes. Ctrl-C stops after a step, twice at "
            "once."
        )

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.started = time.monotonic()
        self.bar = self.display.bar()
        self.description = f"Epoch {epoch + 1} of {self.epochs}"
        self.bar.update(0, self.steps, self.description)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.bar.update(batch + 1, self.steps, self.description, f"loss {(logs or {}).get('loss', float('nan')):.3f}")

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self.bar.update(self.steps, self.steps, "Validating")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.close()
        values = {key: float(value) for key, value in (logs or {}).items()}
        self.display.say(
            f"Epoch {epoch + 1:>3}/{self.epochs}  loss {values['loss']:.3f}; "
            f"validation: loss {values['val_loss']:.3f}, "
            f"global accuracy {100 * values['val_global_accuracy']:.1f} %, "
            f"class average {100 * values['val_class_average_accuracy']:.1f} %, "
            f"mean IoU {100 * values['val_mean_iou']:.1f} %  ({time.monotonic() - self.started:.0f} s)"
        )

    def progress(self, items: Iterable[Any], total: int, description: str) -> Iterator[Any]:
        """Shows how far a pass is that is made within an epoch, in the epoch's bar; see `keras_segnet.progress`."""
        for done, item in enumerate(items):
            self.bar.update(done, total, description)
            yield item

    def close(self) -> None:
        """Takes the bar off the screen."""
        self.bar.close()
