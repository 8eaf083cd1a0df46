"""Windows cover every image, inputs are what an oracle resizes and pads, and blending is a partition of unity."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.data import Classes, Example, SegmentationDataset, evaluation_batches, training_batches
from keras_segnet.data.geometry import AUTO, FITS, STRETCH, Fit
from keras_segnet.data.pipeline import UNCHANGED, Augment
from keras_segnet.errors import InputError
from keras_segnet.inference import Segmenter, predict_each
from keras_segnet.inference.crf import DenseCRFSegmenter, dense_crf
from keras_segnet.training.configuration import FITS as FITS_OF_RUNS

sizes = st.tuples(st.integers(1, 90), st.integers(1, 90))
inputs = st.tuples(st.integers(1, 30), st.integers(1, 30))
rules = st.one_of(
    st.builds(Fit, st.sampled_from(FITS), st.sampled_from([0.3, 1.0, 1.7])),
    st.builds(lambda tile, share: Fit("tile", 1.0, tile, int(share * min(tile))), inputs, st.floats(0, 0.95)),
)


def resized(array: np.ndarray, size: tuple[int, int], is_label: bool) -> np.ndarray:
    if array.shape[:2] == size:
        return array
    shrinks = size[0] < array.shape[0] and size[1] < array.shape[1]
    way = cv2.INTER_NEAREST_EXACT if is_label else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(array, size[::-1], interpolation=way)


@settings(max_examples=60, deadline=None)
@given(sizes, inputs, rules)
def test_windows_cover_the_image_and_blended_maps_are_the_weighted_mean(
    size: tuple[int, int], input: tuple[int, int], fit: Fit
) -> None:
    """The oracle adds up whole images, window by window."""
    layout = fit.layout(size, input)
    random = np.random.default_rng(0)
    maps = [random.random((*layout.window, 2), np.float32) for _ in layout.windows]
    found = np.concatenate(list(layout.blend(maps)))
    low, high = np.full((*size, 2), np.inf), np.full((*size, 2), -np.inf)
    covered = np.zeros(size, int)
    for window, each in zip(layout.windows, maps, strict=True):
        part = (slice(window.top, window.top + window.size[0]), slice(window.left, window.left + window.size[1]))
        low[part], high[part] = np.minimum(low[part], each), np.maximum(high[part], each)
        covered[part] += 1
        assert window.size == layout.window and all(1 <= window.content[a] <= input[a] for a in (0, 1))
    assert covered.min() >= 1
    assert found.shape == (*size, 2) and found.dtype == np.float32
    assert (found >= low - 1e-6).all() and (found <= high + 1e-6).all()  # Of one window: as it is.
    same = list(layout.blend([np.ones((*layout.window, 1), np.float32)] * len(maps)))
    np.testing.assert_allclose(np.concatenate(same), 1, atol=1e-6)
    # What one window of another value changes lies within the window.
    spike = [np.zeros((*layout.window, 1), np.float32) for _ in maps]
    spike[-1] += 1
    touched = np.concatenate(list(layout.blend(spike)))[..., 0] != 0
    assert not touched[: layout.windows[-1].top].any() and not touched[:, : layout.windows[-1].left].any()
    assert touched[-1, -1]


@settings(max_examples=60, deadline=None)
@given(sizes, inputs, st.sampled_from([Fit("stretch"), Fit("pad"), Fit("tile"), AUTO]))
def test_inputs_are_those_of_an_oracle(size: tuple[int, int], input: tuple[int, int], fit: Fit) -> None:
    random = np.random.default_rng(1)
    image = random.integers(1, 256, (*size, 3), np.uint8)
    label = random.integers(0, 9, size).astype(np.uint8)
    factor = min(input[0] / size[0], input[1] / size[1])
    rule = fit.rule
    if rule == "auto":
        rule = "tile" if size[0] > 2 * input[0] or size[1] > 2 * input[1] else "stretch"
    for window in fit.layout(size, input).windows:
        if rule == "tile":
            part = (slice(window.top, window.top + input[0]), slice(window.left, window.left + input[1]))
            content = (min(size[0], input[0]), min(size[1], input[1]))
        else:
            part = (slice(None), slice(None))
            content = input if rule == "stretch" else tuple(max(1, int(size[a] * factor + 0.5)) for a in (0, 1))
        expected = np.zeros((*input, 3), np.uint8)
        expected[: content[0], : content[1]] = resized(image[part], content, False)
        np.testing.assert_array_equal(window.image(image), expected)
        ignored = np.full(input, 99, np.uint8)
        ignored[: content[0], : content[1]] = resized(label[part], content, True)
        np.testing.assert_array_equal(window.label(label, 99), ignored)
        maps = random.random((*input, 2), np.float32)
        back = window.maps(maps)
        assert back.shape[:2] == window.size
        whole = maps[: content[0], : content[1]]
        own = whole if window.size == content else cv2.resize(whole, window.size[::-1], interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(back, own)


class Blurred(Segmenter):
    """Sums over 5x5 pixels with zeros beyond the border, as a network with padding has it; two classes."""

    num_classes = 2
    batch_size = 3

    def __init__(self, input_size: tuple[int, int] | None, fit: Fit | None) -> None:
        self.input_size, self.fit = input_size, fit
        self.seen: list[tuple[int, ...]] = []

    def run_with_uncertainty(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.seen.append(images.shape)
        first = [cv2.boxFilter(image[..., 0] / np.float32(255), -1, (5, 5), borderType=0) for image in images]
        likely = np.stack(first).astype(np.float32)
        return np.stack([likely, 1 - likely], axis=-1), likely / 4


BOUND = 1e-5
"""Of the difference between tiles and the whole, which `Layout.blend` states."""


@pytest.mark.parametrize("input_size", [(16, 24), None])
@pytest.mark.parametrize("size", [(47, 61), (16, 100), (9, 25), (40, 24), (1, 1), (1, 70)])
def test_tiles_give_what_the_whole_image_gives(size: tuple[int, int], input_size: tuple[int, int] | None) -> None:
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    whole = Blurred(size, STRETCH).predict(image)
    fit = Fit("tile", tile=(16, 24), overlap=8)  # The receptive field reaches 2 pixels, a quarter of the overlap.
    tiled = Blurred(input_size, fit)
    found = tiled.predict(image)
    np.testing.assert_allclose(found.probabilities, whole.probabilities, atol=BOUND)
    np.testing.assert_allclose(found.uncertainty, whole.uncertainty, atol=BOUND)
    ((label, uncertainty),) = predict_each(
        tiled, [image], lambda one: (one, None), lambda _, p: (p.label, p.uncertainty)
    )
    np.testing.assert_array_equal(label, found.label)
    np.testing.assert_array_equal(uncertainty, found.uncertainty)
    assert all(shape[1] <= 16 and shape[2] <= 24 for shape in tiled.seen)


def test_a_network_that_sees_further_than_a_quarter_of_the_overlap_shows_it() -> None:
    image = np.random.default_rng(2).integers(0, 256, (47, 61, 3), np.uint8)
    whole = Blurred((47, 61), STRETCH).probabilities(image)
    near = Blurred((16, 24), Fit("tile", tile=(16, 24), overlap=1)).probabilities(image)
    assert np.abs(near - whole).max() > 0.01


def test_many_images_of_all_kinds_in_order_and_in_full_batches() -> None:
    segmenter = Blurred((16, 24), AUTO)
    random = np.random.default_rng(3)
    sizes = [(16, 24), (60, 90), (32, 48), (33, 10), (1, 1), (16, 49)]
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    found = list(predict_each(segmenter, images, lambda one: (one, one), lambda one, p: (one, p.label)))
    windows = sum(len(segmenter.layout(size).windows) for size in sizes)
    assert [len(segmenter.layout(size).windows) > 1 for size in sizes] == [False, True, False, True, False, True]
    assert [shape[0] for shape in segmenter.seen] == [3] * (windows // 3) + [windows % 3] * (windows % 3 > 0)
    for image, (own, label) in zip(images, found, strict=True):
        assert own is image
        np.testing.assert_array_equal(label, segmenter.label(image))


def test_a_crf_refines_each_tile_at_its_own_size() -> None:
    image = np.random.default_rng(4).integers(0, 256, (20, 24, 3), np.uint8)
    plain = Blurred((16, 24), Fit("tile", overlap=8))
    top, bottom = (dense_crf(plain.predict(part).probabilities, part) for part in (image[:16], image[4:]))
    found = DenseCRFSegmenter(plain).probabilities(image)
    np.testing.assert_allclose(found[:4], top[:4], atol=1e-6)
    np.testing.assert_allclose(found[16:], bottom[12:], atol=1e-6)


class Fields(SegmentationDataset):
    """Images of many sizes whose red channel is the label."""

    sizes = ((8, 12), (40, 40), (8, 60), (1, 1), (30, 5))

    def __init__(self) -> None:
        self.name, self.classes = "fields", Classes(tuple("abcdefghi"), ((0, 0, 0),) * 9, ignored=99)

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Example:
        label = np.random.default_rng(index).integers(0, 9, self.sizes[index % 5]).astype(np.uint8)
        return Example(np.dstack([label + 1, label, label]), label)

    def item_name(self, index: int) -> str:
        return str(index)


@pytest.mark.parametrize("augmentation", [None, UNCHANGED])
def test_training_takes_crops_at_the_images_own_scale(augmentation: Any) -> None:
    batches = training_batches(Fields(), 4, (8, 12), augmentation, fit=Fit("tile"))
    ignored = []
    for images, labels in batches:
        images, labels = np.asarray(images), np.asarray(labels)
        inside = labels != 99
        np.testing.assert_array_equal(images[..., 0][inside], labels[inside] + 1)  # No pixel was resized.
        assert (images[~inside] == 0).all()
        ignored += [int((~each).sum()) for each in inside]
    expected = [8 * 12 - min(8, high) * min(12, wide) for high, wide in Fields.sizes] * 4
    assert sorted(ignored) == sorted(expected)


def test_image_scale_is_the_scale_of_crops() -> None:
    example = Example(np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8))
    augment = Augment(UNCHANGED, (20, 20), 99, Fit("tile", image_scale=0.25))
    _, label = augment.random_map(example, np.random.default_rng(0))
    assert (label != 99).sum() == 10 * 15
    layout = Fit("tile", image_scale=0.25).layout((40, 60), (20, 20))
    assert (layout.window, layout.content) == ((40, 60), (10, 15))


def test_validation_takes_one_window_of_each_image_the_same_each_time() -> None:
    first, second = (list(evaluation_batches(Fields(), 4, (8, 12), fit=Fit("tile"))) for _ in range(2))
    for (images, labels), (again, _) in zip(first, second, strict=True):
        np.testing.assert_array_equal(np.asarray(images), np.asarray(again))
        images, labels = np.asarray(images), np.asarray(labels)
        np.testing.assert_array_equal(images[..., 0][labels != 99], labels[labels != 99] + 1)
    assert sum(len(labels) for _, labels in first) == 20


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fit("squeeze"), "`fit` must be auto, stretch, pad or tile, not 'squeeze'"),
        (lambda: Fit("tile", 0), "`image_scale` must be above 0, not 0"),
        (lambda: Fit("tile", tile=(0, 3)), r"`tile` must be a height and a width, both at least 1; not \(0, 3\)"),
        (lambda: Fit("pad", tile=(3, 3)), "`tile` is for `fit` tile, not pad"),
        (lambda: Fit("tile", overlap=-1), "`overlap` must be a number of pixels, at least 0; not -1"),
        (lambda: Fit("stretch", overlap=2), "`overlap` is for `fit` auto or tile, not stretch"),
        (
            lambda: Fit("tile", overlap=8).layout((99, 99), (8, 12)),
            "`overlap` must be below the size of a tile, 8; not 8",
        ),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_a_rule_is_read_as_it_was_written() -> None:
    for fit in (Fit("pad"), Fit("tile", image_scale=0.5), AUTO):
        assert Fit.recorded(fit.record()) == fit
    assert Fit.recorded({"head": "logits"}) == STRETCH  # Of files that are older than the rules.
    for wrong in ({"fit": "squeeze"}, {"fit": 3}, {"image_scale": 0}, {"image_scale": "1"}, {"image_scale": True}):
        with pytest.raises(ValueError, match="it says that images become inputs by fit"):
            Fit.recorded(wrong)
    assert FITS == FITS_OF_RUNS
