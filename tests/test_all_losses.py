"""Every loss beside numpy in float64: hard and soft labels, ignored pixels, logits and probabilities, gradients."""

import math
from typing import Any

import keras
import numpy as np
import pytest

from keras_segnet.losses import (
    KINDS,
    Dice,
    FocalCrossentropy,
    HardestCrossentropy,
    LovaszSoftmax,
    SumOfLosses,
    WeightedCrossentropy,
    build_loss,
    weighted_parts,
)
from keras_segnet.training.configuration import LOSSES

IGNORED = 255
SHAPE = (2, 3, 5)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def pixel_losses(labels: Any, p: np.ndarray, weights: np.ndarray, of_pixel: Any) -> list[float]:
    """The weighted loss of each valid pixel; labels are distributions `(pixels, classes)`, hard and smoothed."""
    hard, smoothed = labels
    return [float(hard[i] @ weights) * of_pixel(smoothed[i], p[i]) for i in range(len(p)) if hard[i].sum() > 0]


def crossentropy(y: np.ndarray, p: np.ndarray) -> float:
    return -sum(y[c] * math.log(p[c]) for c in range(len(p)))


def focal(y: np.ndarray, p: np.ndarray) -> float:
    return -sum(y[c] * (1 - p[c]) ** 2 * math.log(p[c]) for c in range(len(p)))


def expected(name: str, labels: tuple[np.ndarray, np.ndarray], p: np.ndarray, weights: np.ndarray) -> float:
    """Of pixels `(pixels, classes)`, in plain loops."""
    hard, soft = labels
    valid = [i for i in range(len(p)) if hard[i].sum() > 0]
    if not valid:
        return 0.0
    if name == "crossentropy":
        return sum(pixel_losses(labels, p, weights, crossentropy)) / len(valid)
    if name == "focal":
        return sum(pixel_losses(labels, p, weights, focal)) / len(valid)
    if name == "ohem":
        count = math.ceil(0.25 * len(valid))
        return sum(sorted(pixel_losses(labels, p, weights, crossentropy))[-count:]) / count
    present = [c for c in range(p.shape[1]) if hard[:, c].sum() > 0]
    if name == "dice":
        common = [sum(soft[i, c] * p[i, c] for i in valid) for c in present]
        both = [sum(soft[i, c] + p[i, c] for i in valid) for c in present]
        return float(np.mean([1 - (2 * one + 1) / (two + 1) for one, two in zip(common, both, strict=True)]))
    return float(np.mean([lovasz([abs(soft[i, c] - p[i, c]) for i in valid], soft[valid, c]) for c in present]))


def lovasz(errors: list[float], labels: np.ndarray) -> float:
    """By the extension's definition: levels of the error, each times what the set above it loses of the IoU."""

    def lost(wrong: list[int]) -> float:
        right = labels.sum() - sum(labels[i] for i in wrong)
        return 1 - right / (labels.sum() + sum(1 - labels[i] for i in wrong))

    order = sorted(range(len(errors)), key=lambda i: -errors[i])
    total = 0.0
    for place, i in enumerate(order):
        below = errors[order[place + 1]] if place + 1 < len(order) else 0.0
        total += (errors[i] - below) * lost(order[: place + 1])
    return total


def drawn(seed: int, classes: int, soft: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels as a loss accepts them, the same as distributions `(pixels, classes)`, and logits."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=2, size=(*SHAPE, classes)).astype("float32")
    if soft:
        labels = random.dirichlet(np.ones(classes), SHAPE).astype("float32")
        labels[random.random(SHAPE) < 0.3] = 0
        return labels, labels.reshape(-1, classes).astype(float), logits
    values = random.choice([*range(classes), IGNORED], SHAPE)
    return values, np.eye(256)[values.ravel()][:, :classes], logits


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_each_loss_is_numpys(name: str, soft: bool, smoothing: float) -> None:
    for seed in range(4):
        classes = 2 + seed
        labels, hard, logits = drawn(seed, classes, soft)
        weights = np.random.default_rng(seed).uniform(0.2, 5, classes)
        smoothed = (1 - smoothing) * hard + smoothing * hard.sum(axis=1, keepdims=True) / classes
        p = softmax(logits.astype(float)).reshape(-1, classes)
        pixels = issubclass(KINDS[name], WeightedCrossentropy)
        for from_logits in (True, False):
            options: dict[str, Any] = {"class_weights": weights} if pixels else {}
            options |= {"ignore_class": IGNORED, "from_logits": from_logits, "label_smoothing": smoothing}
            loss = KINDS[name](classes, **options)
            found = loss(labels, logits if from_logits else softmax(logits))
            answer = expected(name, (hard, smoothed), p, weights)
            if soft and name in ("crossentropy", "focal"):  # Divided by the sum of the labels, 1 but for rounding.
                answer *= (hard.sum(axis=1) > 0).sum() / hard.sum()
            np.testing.assert_allclose(keras.ops.convert_to_numpy(found), answer, rtol=2e-4, err_msg=str(seed))
            restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
            assert restored.get_config() == loss.get_config()


@pytest.mark.parametrize("name", KINDS)
def test_no_valid_pixel_has_loss_0(name: str) -> None:
    loss = KINDS[name](3, ignore_class=IGNORED, from_logits=True)
    found = loss(np.full(SHAPE, IGNORED), np.random.default_rng(0).normal(size=(*SHAPE, 3)).astype("float32"))
    assert float(found) == 0


@pytest.mark.parametrize("name", [*KINDS, "crossentropy+dice", "focal+lovasz"])
def test_a_step_in_fit_follows_the_slope_of_numpys_answer(name: str) -> None:
    """The kernel holds the logits of each pixel; central differences of the oracle are what a step changes."""
    classes, pixels = 3, 8
    random = np.random.default_rng(5)
    logits = random.normal(size=(pixels, classes)).astype("float32")
    labels = np.array([[[0, 1, 2, 0, IGNORED, 2, 1, 0]]])
    hard = np.eye(256)[labels.ravel()][:, :classes]
    model = keras.Sequential(
        [
            keras.Input((1, pixels, pixels)),
            keras.layers.Conv2D(classes, 1, use_bias=False),
            keras.layers.Softmax(),
        ]
    )
    model.layers[0].set_weights([logits[None, None]])
    model.compile(keras.optimizers.SGD(1.0), build_loss(name, classes, ignore_class=IGNORED))
    model.fit(np.eye(pixels)[None, None], labels, verbose=0)
    slope = logits - model.layers[0].get_weights()[0][0, 0]
    ones, step = np.ones(classes), 1e-5
    for i, c in np.ndindex(logits.shape):
        beside = []
        for sign in (1, -1):
            moved = logits.astype(float)
            moved[i, c] += sign * step
            beside.append(sum(expected(part, (hard, hard), softmax(moved), ones) for part in name.split("+")))
        assert slope[i, c] == pytest.approx((beside[0] - beside[1]) / (2 * step), abs=2e-4)


def test_hand_written_answers() -> None:
    labels = np.array([[[0, 1, 9]]])
    p = np.array([[[[0.5, 0.5], [0.75, 0.25], [0.9, 0.1]]]], "float32")
    assert float(FocalCrossentropy(2, ignore_class=9)(labels, p)) == pytest.approx(
        (0.25 * math.log(2) + 0.5625 * math.log(4)) / 2
    )
    assert float(HardestCrossentropy(2, ignore_class=9, fraction=0.5)(labels, p)) == pytest.approx(math.log(4))
    # Class 0: y = 1 0, p = .5 .75; class 1: y = 0 1, p = .5 .25.
    assert float(Dice(2, ignore_class=9)(labels, p)) == pytest.approx(1 - (2 / 3.25 + 1.5 / 2.75) / 2)
    # Class 0: errors .75 (not labelled), .5 (labelled): .75 (1 - 1/2) + .5 (1/2). Class 1 mirrors it.
    assert float(LovaszSoftmax(2, ignore_class=9)(labels, p)) == pytest.approx(((0.375 + 0.25) + (0.75 + 0.0)) / 2)


def test_pixels_of_equal_loss_count_in_part() -> None:
    """Three pixels with one loss, of which one and a half is to be counted: each counts for a half."""
    labels, logits = np.array([[[0, 0, 0, 1]]]), np.zeros((1, 1, 4, 2), "float32")
    logits[0, 0, 3] = [9, -9]
    loss = HardestCrossentropy(2, from_logits=True, fraction=0.5, normalization="sum")
    assert float(loss(labels, logits)) == pytest.approx(math.log(2) + math.log(1 + math.exp(18)))
    assert float(HardestCrossentropy(2, from_logits=True, fraction=1.0)(labels, logits)) == pytest.approx(
        float(WeightedCrossentropy(2, from_logits=True)(labels, logits))
    )


def test_a_sum_adds_and_sets_the_weights_of_those_that_have_some() -> None:
    labels, _, logits = drawn(3, 4, False)
    parts = [WeightedCrossentropy(4, ignore_class=IGNORED, from_logits=True), Dice(4, IGNORED, True)]
    both = SumOfLosses(parts, [1.0, 0.5])
    assert float(both(labels, logits)) == pytest.approx(
        float(parts[0](labels, logits)) + 0.5 * float(parts[1](labels, logits))
    )
    assert (
        weighted_parts(both) == parts[:1] and weighted_parts(parts[0]) == parts[:1] and weighted_parts(parts[1]) == []
    )
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(both))
    assert float(restored(labels, logits)) == pytest.approx(float(both(labels, logits)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build_loss("dise", 3), "a loss is one of crossentropy, focal, ohem, dice, lovasz, or two"),
        (lambda: FocalCrossentropy(3, gamma=-1), "gamma must be at least 0, not -1"),
        (lambda: HardestCrossentropy(3, fraction=0), "fraction must be above 0 and at most 1, not 0"),
        (lambda: Dice(3, smooth=0), "smooth must be above 0, not 0"),
        (lambda: Dice(3, label_smoothing=1), "label_smoothing must be at least 0 and below 1, not 1"),
        (lambda: SumOfLosses([Dice(3)]), "a sum has two losses or more and a weight for each; not 1 and 1"),
        (lambda: LovaszSoftmax(3)(np.zeros((1, 2, 2)), np.ones((1, 2, 2, 3)), 2.0), "takes no sample_weight"),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_runs_know_the_same_names() -> None:
    assert tuple(KINDS) == LOSSES
