"""The splits of a data set: their names, and the random split of images that have none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_segnet.errors import InputError

SPLITS = ("train", "val", "test")

FRACTIONS = (0.15, 0.15)
"""Shares of validation and test images in a data set without splits of its own."""


def refuse_other_split(split: str, allowed: Sequence[str] = SPLITS, why: str = "") -> None:
    """Raises an `InputError` if a split is none of those allowed."""
    if split not in allowed:
        raise InputError(f"split must be one of {', '.join(allowed)}; not {split!r}{why and f' ({why})'}.")


def deal_out(names: Sequence[str], fractions: tuple[float, float], seed: int, where: Path) -> dict[str, list[str]]:
    """The names of each split, at random.

    Args:
        names: of all images.
        fractions: shares of validation and test images; of each at least one image.
        seed: of the order.
        where: the images lie, for messages.

    Raises:
        InputError: the fractions are no shares, or there are fewer than three images.
    """
    if not (min(fractions) >= 0 and sum(fractions) < 1):
        raise InputError(
            f"fractions must be shares of validation and test images that leave some over; not {fractions}."
        )
    validation, test = (max(1, round(fraction * len(names))) for fraction in fractions)
    if validation + test >= len(names):
        raise InputError(
            f"{where} holds {len(names)} image(s), too few to deal out to training, validation and test; three are "
            "needed, or lists train.txt, val.txt and test.txt."
        )
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    return {
        "val": sorted(order[:validation]),
        "test": sorted(order[validation : validation + test]),
        "train": sorted(order[validation + test :]),
    }
