"""Batches: what is in them, that they are determined by seed and epoch, and that image and label stay together."""

import grain
import keras
import numpy as np
import pytest

from keras_segnet.data import (
    Augmentation,
    Classes,
    Example,
    SegmentationDataset,
    evaluation_batches,
    pipeline,
    training_batches,
)
from keras_segnet.data.geometry import Fit
from keras_segnet.data.pipeline import Augment, EpochBatches

CLASSES = Classes(tuple("abcdefghij"), ((0, 0, 0),) * 10, ignored=99)


class Numbered(SegmentationDataset):
    """Example i is a map of i, its label i % 10 everywhere."""

    def __init__(self, count: int) -> None:
        self.name, self.classes, self._count = "numbered", CLASSES, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Example:
        return Example(np.full((12, 16, 3), index, np.uint8), np.full((12, 16), index % 10, np.uint8))


class Striped(SegmentationDataset):
    """The image's red channel is 10 times its label plus 5, in blocks of 8 pixels."""

    def __init__(self) -> None:
        self.name, self.classes = "striped", CLASSES

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> Example:
        label = np.kron(np.random.default_rng(index).integers(0, 10, (6, 8)), np.ones((8, 8))).astype(np.uint8)
        return Example(np.dstack([label * 10 + 5, label, label]), label)


def epoch(batches: object) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.asarray(images), np.asarray(labels)) for images, labels in batches]  # type: ignore[attr-defined]


def shown(batches: list[tuple[np.ndarray, np.ndarray]]) -> list[int]:
    return [int(image[0, 0, 0]) for images, _ in batches for image in images]


def test_an_epoch_shows_every_example_in_another_order_each_time() -> None:
    batches = training_batches(Numbered(12), 4, (12, 16), None, seed=1)
    first, second = shown(epoch(batches)), shown(epoch(batches))
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second and first != sorted(first)


def test_fit_shows_another_order_each_epoch() -> None:
    """Keras asks for as many batches as an epoch has, and never for the end."""
    inputs = keras.Input((12, 16, 3))
    outputs = keras.layers.Conv2D(10, 1, activation="softmax")(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(loss="sparse_categorical_crossentropy", run_eagerly=True)
    seen: list[int] = []
    honest = model.train_step
    model.train_step = lambda data: (seen.extend(np.asarray(data[0])[:, 0, 0, 0].astype(int)), honest(data))[1]
    model.fit(training_batches(Numbered(9), 3, (12, 16), None), epochs=3, verbose=0)
    orders = [tuple(seen[start : start + 9]) for start in (0, 9, 18)]
    assert all(sorted(order) == list(range(9)) for order in orders)
    assert len(set(orders)) == 3


def test_batches_are_uint8_and_full() -> None:
    batches = epoch(training_batches(Numbered(10), 4, (6, 8)))
    assert [images.shape for images, _ in batches] == [(4, 6, 8, 3)] * 3
    assert [labels.shape for _, labels in batches] == [(4, 6, 8)] * 3
    assert all(images.dtype == labels.dtype == np.uint8 for images, labels in batches)


def test_fewer_examples_than_a_batch_still_make_one() -> None:
    ((images, _),) = epoch(training_batches(Numbered(1), 4, (6, 8), None))
    assert shown([(images, images)]) == [0, 0, 0, 0]


def test_the_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    runs = [epoch(training_batches(Striped(), 8, (24, 32), seed=seed)) for seed in (5, 5, 6)]
    for (a, b), (c, d) in zip(runs[0], runs[1], strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    assert not np.array_equal(runs[0][0][0], runs[2][0][0])


def test_a_run_that_goes_on_at_an_epoch_sees_what_it_would_have_seen() -> None:
    unbroken = training_batches(Striped(), 8, (24, 32), seed=2)
    epochs = [epoch(unbroken) for _ in range(3)]
    resumed = epoch(training_batches(Striped(), 8, (24, 32), seed=2, first_epoch=2))
    for (a, b), (c, d) in zip(epochs[2], resumed, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_looking_at_the_first_batches_does_not_use_up_an_epoch() -> None:
    endless = grain.MapDataset.range(6).shuffle(seed=0).repeat().batch(2)
    batches = EpochBatches(endless, steps=3)
    first = next(iter(batches)).tolist()
    whole = [b.tolist() for b in batches]
    assert whole[0] == first
    assert batches.epoch == 1


def test_an_epoch_iterator_can_be_saved_and_restored() -> None:
    iterator = iter(EpochBatches(grain.MapDataset.range(8).repeat().batch(2), steps=4))
    next(iterator)
    state = iterator.get_state()
    rest = [b.tolist() for b in iterator]
    other = iter(EpochBatches(grain.MapDataset.range(8).repeat().batch(2), steps=4))
    other.set_state(state)
    assert [b.tolist() for b in other] == rest == [[2, 3], [4, 5], [6, 7]]


def test_evaluation_shows_all_once_in_order() -> None:
    batches = epoch(evaluation_batches(Numbered(10), 4, (6, 8)))
    assert shown(batches) == list(range(10))
    assert [len(images) for images, _ in batches] == [4, 4, 2]


def test_keras_is_told_the_length_of_an_epoch() -> None:
    assert len(training_batches(Numbered(10), 4, (6, 8))) == 3
    assert len(evaluation_batches(Numbered(10), 4, (6, 8))) == 3


def test_image_and_label_change_together() -> None:
    augmentation = Augmentation(flip=True, scale=(0.5, 2.0), colour=0.0)
    ignored = total = 0
    for images, labels in epoch(training_batches(Striped(), 8, (48, 64), augmentation)):
        inside = labels != CLASSES.ignored
        assert (images[~inside] == 0).all()
        # Within blocks, away from their interpolated borders, the red channel tells the label.
        flat = np.zeros_like(inside)
        red = images[..., 0].astype(int)
        flat[:, 1:-1, 1:-1] = (np.abs(np.diff(red, axis=1))[:, :-1, 1:-1] == 0) & (
            np.abs(np.diff(red, axis=2))[:, 1:-1, :-1] == 0
        )
        sure = inside & flat & (np.roll(flat, 1, 1) & np.roll(flat, -1, 1) & np.roll(flat, 1, 2) & np.roll(flat, -1, 2))
        agree = (red[sure] - 5) // 10 == labels[sure]
        assert agree.mean() > 0.995
        ignored, total = ignored + (~inside).sum(), total + inside.size
    assert 0.05 < ignored / total < 0.6  # Images smaller than the input leave a rim of ignored pixels.


def test_half_of_the_images_are_mirrored() -> None:
    label = np.zeros((4, 6), np.uint8)
    label[:, 0] = 1
    augment = Augment(Augmentation(scale=(1.0, 1.0), colour=0.0), (4, 6), 99)
    mirrored = 0
    for seed in range(200):
        image, found = augment.random_map(Example(np.dstack([label] * 3), label), np.random.default_rng(seed))
        assert (found[:, 0] == 1).all() != (found[:, -1] == 1).all()
        np.testing.assert_array_equal(image[..., 0], found)
        mirrored += int((found[:, -1] == 1).all())
    assert 70 < mirrored < 130


@pytest.mark.parametrize(("scale", "tops", "lefts"), [(2.0, range(5), range(7)), (0.5, range(3), range(4))])
def test_windows_begin_everywhere_they_can(scale: float, tops: range, lefts: range) -> None:
    """Cut out of a larger image, and a smaller one laid into the window, the first and the last place included."""
    scaled = (round(4 * scale), round(6 * scale))
    label = np.arange(scaled[0] * scaled[1], dtype=np.uint8).reshape(scaled)
    example = Example(np.repeat(label[..., None], 3, axis=-1), label)
    augment = Augment(Augmentation(flip=False, scale=(scale, scale), colour=0.0), (4, 6), 255)
    found = set()
    for seed in range(300):
        _, cut = augment.random_map(example, np.random.default_rng(seed))
        if scale > 1:
            found.add(divmod(int(cut[0, 0]), scaled[1]))
        else:
            found.add(tuple(int(place.min()) for place in np.nonzero(cut != 255)))
    assert found == {(top, left) for top in tops for left in lefts}


def test_colours_change_within_their_range_and_labels_do_not() -> None:
    image = np.full((8, 8, 3), (100, 150, 50), np.uint8)
    label = np.arange(64).reshape(8, 8).astype(np.uint8) % 10
    augment = Augment(Augmentation(flip=False, scale=(1.0, 1.0), colour=0.2), (8, 8), 99)
    means = []
    for seed in range(100):
        changed, kept = augment.random_map(Example(image, label), np.random.default_rng(seed))
        np.testing.assert_array_equal(kept, label)
        means.append(changed.mean())
    assert image.mean() * 0.7 < min(means) < image.mean() * 0.9
    assert image.mean() * 1.1 < max(means) < image.mean() * 1.3


def test_crops_of_rare_classes_hold_the_class_that_was_drawn() -> None:
    label = np.full((40, 60), 99, np.uint8)
    label[5:35] = 1
    label[30, 50] = 2  # One pixel of 1800.
    example = Example(np.dstack([label] * 3), label)
    shares = {}
    for rare in (0.0, 0.5, 1.0):
        augment = Augment(Augmentation(False, (1.0, 1.0), 0.0, rare), (8, 8), 99, Fit("tile"))
        found = [augment.random_map(example, np.random.default_rng(seed))[1] for seed in range(200)]
        shares[rare] = np.mean([(each == 2).any() for each in found])
        assert rare < 1 or all((each != 99).any() for each in found)
    assert shares[0.0] < 0.1 < shares[0.5] < 0.4 < shares[1.0] < 0.65  # 64 of 1,749 places, and half of the images.
    empty = Example(example.image, np.full_like(label, 99))
    assert (augment.random_map(empty, np.random.default_rng(0))[1] == 99).all()
    for size in ((1, 1), (3, 90), (50, 4)):  # Smaller than the input, on both axes and on one.
        small = Example(np.zeros((*size, 3), np.uint8), np.ones(size, np.uint8))
        assert (augment.random_map(small, np.random.default_rng(1))[1] == 1).any()


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (13, 11)])
def test_any_size(size: tuple[int, int]) -> None:
    images, labels = epoch(training_batches(Striped(), 4, size))[0]
    assert images.shape == (4, *size, 3) and labels.shape == (4, *size)


@pytest.mark.parametrize("threads", [0, 1, 7])
def test_the_number_of_threads_changes_nothing(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = epoch(training_batches(Striped(), 3, (24, 32), seed=4))
    monkeypatch.setattr(pipeline, "READING", grain.ReadOptions(num_threads=threads, prefetch_buffer_size=5))
    for (a, b), (c, d) in zip(usual, epoch(training_batches(Striped(), 3, (24, 32), seed=4)), strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


class Counted(Striped):
    """Counts how often each example is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []

    def __getitem__(self, index: int) -> Example:
        self.reads.append(index)
        return super().__getitem__(index)


@pytest.mark.parametrize("examples", [0, 7, 40])
def test_examples_that_fit_into_the_memory_are_read_once(examples: int) -> None:
    size = 48 * 64 * 4  # Of an image and its label.
    dataset = Counted()
    batches = training_batches(dataset, 8, (24, 32), seed=2, memory=examples * size + size - 1)
    epochs = [epoch(batches) for _ in range(3)]
    again = np.bincount(dataset.reads, minlength=40)
    assert sorted(again.tolist()) == [1] * examples + [3] * (40 - examples)
    for number, batches_of_one in enumerate(epochs):
        fresh = epoch(training_batches(Striped(), 8, (24, 32), seed=2, first_epoch=number, memory=0))
        for (a, b), (c, d) in zip(batches_of_one, fresh, strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)
