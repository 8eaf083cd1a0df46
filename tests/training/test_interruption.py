"""Ctrl-C lets the step that runs finish, wherever the main thread is when it comes."""

import os
import signal
import threading
from collections.abc import Iterator

import keras
import numpy as np
import pytest

from keras_segnet.training.interruption import Interruption


@pytest.fixture(autouse=True)
def hears_ctrl_c() -> Iterator[None]:
    """A test run that is a background job of a shell is deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


class PressedIn(keras.callbacks.Callback):
    """Presses Ctrl-C once when a moment comes, and lists what moments came."""

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        for each in ("train_batch_begin", "train_batch_end", "test_batch_begin", "test_batch_end", "epoch_end"):
            setattr(self, f"on_{each}", lambda *_, each=each, **__: self.see(each, moment))

    def see(self, name: str, moment: str) -> None:
        if name == moment and name not in self.seen:
            press()
        self.seen.append(name)


@pytest.mark.parametrize(
    ("moment", "seen"),
    [
        ("train_batch_begin", ["train_batch_begin", "train_batch_end"]),
        ("train_batch_end", ["train_batch_begin", "train_batch_end"]),
        ("test_batch_begin", ["train_batch_begin", "train_batch_end"] * 2 + ["test_batch_begin", "test_batch_end"]),
        (
            "epoch_end",
            ["train_batch_begin", "train_batch_end"] * 2 + ["test_batch_begin", "test_batch_end"] * 2 + ["epoch_end"],
        ),
    ],
)
def test_the_step_ends_and_the_callbacks_before_have_done_their_work(moment: str, seen: list[str]) -> None:
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    pressed, interruption = PressedIn(moment), Interruption()
    x, y = np.ones((4, 3), np.float32), np.ones((4, 1), np.float32)
    with pytest.raises(KeyboardInterrupt), interruption:
        model.fit(
            x, y, 2, epochs=2, validation_data=(x, y), validation_batch_size=2, verbose=0,
            callbacks=[pressed, interruption],
        )  # fmt: skip
    assert pressed.seen == seen
    assert int(model.optimizer.iterations) == seen.count("train_batch_end")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_press_does_not_wait() -> None:
    went_on = []
    with pytest.raises(KeyboardInterrupt), Interruption():
        press()
        went_on.append(1)
        press()
        went_on.append(2)
    assert went_on == [1]


def test_a_press_after_the_last_step_is_not_forgotten() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption():
        press()


def test_a_pass_stops_between_its_items() -> None:
    seen = []
    interruption = Interruption()
    passes = interruption.between(lambda items, total, description: items)
    with pytest.raises(KeyboardInterrupt), interruption:
        for item in passes(range(5), 5, "Counting"):
            seen.append(item)
            if item == 2:
                press()
    assert seen == [0, 1, 2]


def test_an_error_within_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="of the step"), Interruption():
        press()
        raise ValueError("of the step")


def test_what_ctrl_c_means_to_others_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption():
        press()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    failed = []

    def elsewhere() -> None:
        try:
            with Interruption():
                pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert not failed
