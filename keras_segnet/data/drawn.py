"""Drawn streets as a data set, for demonstrations, tests and benchmarks that need no download."""

from __future__ import annotations

from keras_segnet.data.camvid import CLASSES
from keras_segnet.data.dataset import Example, SegmentationDataset
from keras_segnet.data.splits import SPLITS, refuse_other_split
from keras_segnet.errors import InputError
from keras_segnet.streets import draw_street_scene

COUNTS = {"train": 200, "val": 40, "test": 40}
"""Default number of scenes in each split."""


class StreetScenes(SegmentationDataset):
    """Streets that are drawn when they are asked for; made by `street_scenes`."""

    def __init__(self, name: str, size: tuple[int, int], seeds: range) -> None:
        self.name = name
        self.classes = CLASSES
        self._size = size
        self._seeds = seeds

    def __len__(self) -> int:
        return len(self._seeds)

    def __getitem__(self, index: int) -> Example:
        return Example(*draw_street_scene(self._seeds[index], self._size))

    def item_name(self, index: int) -> str:
        return f"street_{self._seeds[index]}"


def street_scenes(
    split: str = "train", count: int | None = None, size: tuple[int, int] = (180, 240), seed: int = 0
) -> StreetScenes:
    """Streets drawn by `keras_segnet.streets`, with CamVid's classes, no two alike.

    Args:
        split: "train" (default), "val" or "test"; no scene is in two of them.
        count: how many scenes. Default 200 to train, 40 to validate and to test.
        size: height and width, at least 8 each. Default (180, 240).
        seed: of the whole set. Default 0.

    Raises:
        InputError: the split is not one of these, or a number is out of range.
    """
    refuse_other_split(split)
    count = COUNTS[split] if count is None else count
    if not 1 <= count <= SCENES_A_SPLIT:
        raise InputError(f"count must be 1 to {SCENES_A_SPLIT}, not {count}.")
    if seed < 0:
        raise InputError(f"seed must not be negative; it is {seed}.")
    first = (seed * len(SPLITS) + SPLITS.index(split)) * SCENES_A_SPLIT
    return StreetScenes(f"streets {split}", size, range(first, first + count))


SCENES_A_SPLIT = 1_000_000
