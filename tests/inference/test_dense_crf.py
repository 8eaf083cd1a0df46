"""The dense CRF against all pairs of pixels written out, its filters each, and what must hold for any of them."""

from functools import partial

import crf_oracle
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.data import street_scenes
from keras_segnet.inference import DenseCRFSegmenter, Segmenter, dense_crf
from keras_segnet.inference.dense_crf import mean_field, position_and_colour, position_filter
from keras_segnet.inference.permutohedral import PASSES, PermutohedralLattice, _enclosing_simplices


def network_like(label: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Probabilities as a network gives them: soft at the edges, and wrong in patches."""
    random = np.random.default_rng(seed)
    onehot = np.eye(classes + 1, dtype=np.float32)[np.minimum(label, classes)][..., :classes]
    noise = random.normal(size=(*label.shape, classes)).astype(np.float32)
    scores = 6 * cv2.GaussianBlur(onehot, (0, 0), 2) + 4 * cv2.GaussianBlur(noise, (0, 0), 1.5)
    return crf_oracle.softmax(scores).astype(np.float32)


def random_probabilities(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return crf_oracle.softmax(np.random.default_rng(seed).normal(0, 2, shape)).astype(np.float32)


@settings(max_examples=15)
@given(
    size=st.sampled_from([(1, 1), (1, 9), (5, 1), (12, 16), (7, 11)]),
    classes=st.integers(2, 5),
    weights=st.tuples(st.floats(0, 8), st.floats(0, 20)),
    iterations=st.integers(0, 6),
    seed=st.integers(0, 1000),
)
def test_mean_field_with_exact_filters(
    size: tuple[int, int], classes: int, weights: tuple[float, float], iterations: int, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 2, (*size, 3)) * 30
    scores = np.random.default_rng(seed).normal(0, 2, (*size, classes)).astype(np.float32)
    filters = [
        (weight, partial(np.matmul, kernel.astype(np.float32)))
        for weight, kernel in zip(weights, crf_oracle.gaussians(image, 2.0, 10.0), strict=True)
    ]
    found = mean_field(scores.reshape(-1, classes), filters, iterations)
    expected = crf_oracle.mean_field(scores, crf_oracle.kernels(image, 2.0, 10.0), weights, iterations)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=2e-4)


@settings(max_examples=15)
@given(
    size=st.sampled_from([(1, 1), (1, 30), (23, 1), (24, 32), (29, 37)]),
    deviation=st.sampled_from([0.05, 0.7, 3.0, 20.0]),
    channels=st.sampled_from([1, 3, 11, 150]),
)
def test_position_filter(size: tuple[int, int], deviation: float, channels: int) -> None:
    values = np.random.default_rng(0).random((size[0] * size[1], channels), np.float32)

    def along_axis(length: int) -> np.ndarray:
        return np.array([[np.exp(-((i - j) ** 2) / (2 * deviation**2)) for j in range(length)] for i in range(length)])

    expected = np.einsum("yr,xc,rcn->yxn", along_axis(size[0]), along_axis(size[1]), values.reshape(*size, channels))
    found = position_filter(size, deviation)(values)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=2e-3)  # Cut off at four deviations.


@settings(max_examples=30)
@given(dimensions=st.integers(1, 6), spread=st.floats(0.01, 100), seed=st.integers(0, 1000))
def test_points_lie_where_their_weights_put_them_between_the_vertices(
    dimensions: int, spread: float, seed: int
) -> None:
    features = np.random.default_rng(seed).normal(0, spread, (40, dimensions))
    corners, ranks, weights = _enclosing_simplices(features)
    assert weights.min() > -1e-4
    np.testing.assert_allclose(weights.sum(axis=0), 1, atol=1e-4)
    assert (np.sort(ranks, axis=0) == np.arange(dimensions + 1)[:, None]).all()
    size = dimensions + 1
    position = np.zeros((size, 40))
    for number in range(size):
        vertex = corners + number - size * (ranks > dimensions - number)
        assert (vertex.sum(axis=0) == 0).all() and (vertex % size == number).all()
        position += weights[number] * vertex
    # Distances in the lattice are those of the features, times one number.
    scale = size * np.sqrt(PASSES / 2 + 1 / 6)
    apart = np.linalg.norm(features[:, None] - features, axis=-1)
    np.testing.assert_allclose(
        np.linalg.norm(position[:, :, None] - position[:, None], axis=0), scale * apart, rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize(
    ("name", "mean_error"), [("street", 0.03), ("noise", 0.05), ("one colour", 0.03), ("plane", 0.03)]
)
def test_lattice_filters_as_gaussians_do(name: str, mean_error: float) -> None:
    random = np.random.default_rng(0)
    image = {
        "street": street_scenes("train", 1, (36, 48))[0].image,
        "noise": random.integers(0, 256, (36, 48, 3)),
        "one colour": np.full((36, 48, 3), 77),
        "plane": np.zeros((36, 48, 3)),
    }[name]
    features = position_and_colour(image, 12.0, 20.0)
    if name == "plane":
        features = features[:, :2]
    values = np.column_stack([random.random(len(features)), features[:, 0] > 1, np.ones(len(features))])
    exact = np.exp(-0.5 * ((features[:, None].astype(float) - features) ** 2).sum(axis=-1))
    lattice = PermutohedralLattice(features)
    sums = lattice.filter(np.ones((len(features), 1), np.float32))
    found = lattice.filter((values / np.sqrt(sums)).astype(np.float32)) / np.sqrt(sums)
    expected = crf_oracle.normalize(exact) @ values
    error = np.abs(found - expected) / expected.mean()
    assert error.mean() < mean_error, error.mean()
    assert error.max() < 0.5, error.max()


@pytest.mark.parametrize("seed", [0, 1, 6])
def test_labels_are_those_of_exact_filters(seed: int) -> None:
    image, label = street_scenes("train", 1, (48, 64), seed=seed)[0]
    probabilities = network_like(label, 11, seed)
    expected = crf_oracle.mean_field(np.log(probabilities), crf_oracle.kernels(image), (3, 10), 10)
    found = dense_crf(probabilities, image)
    assert found.dtype == np.float32 and found.shape == probabilities.shape
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    agreement = (found.argmax(-1) == expected.argmax(-1)).mean()
    assert agreement > 0.98, agreement
    assert (probabilities.argmax(-1) == expected.argmax(-1)).mean() < 0.95  # There was something to change.


def test_labels_follow_the_edges_of_the_image() -> None:
    label = np.zeros((29, 37), np.uint8)
    label[8:, 15:] = 1
    image = np.where(label[..., None], (200, 180, 40), (60, 70, 90)).astype(np.uint8)
    # The network draws the edge three pixels off, and is wrong at every tenth pixel.
    random = np.random.default_rng(0)
    drawn = np.roll(label, 3, axis=1)
    drawn[random.random(label.shape) < 0.1] ^= 1
    probabilities = np.where(drawn[..., None] == np.arange(2), 0.8, 0.2)
    assert (probabilities.argmax(-1) != label).mean() > 0.1
    np.testing.assert_array_equal(dense_crf(probabilities, image).argmax(-1), label)


def test_without_kernels_or_iterations_the_probabilities_stay() -> None:
    probabilities = random_probabilities((13, 17, 4))
    image = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
    for options in ({"smoothness_weight": 0, "appearance_weight": 0}, {"iterations": 0}):
        np.testing.assert_allclose(dense_crf(probabilities, image, **options), probabilities, atol=1e-4)


def test_smoothness_alone_does_not_see_the_image_and_mirrors_with_it() -> None:
    probabilities = random_probabilities((13, 17, 4))
    black, noise = np.zeros((13, 17, 3)), np.random.default_rng(0).uniform(0, 255, (13, 17, 3))
    found = dense_crf(probabilities, black, appearance_weight=0)
    np.testing.assert_array_equal(dense_crf(probabilities, noise, appearance_weight=0), found)
    np.testing.assert_allclose(dense_crf(probabilities[:, ::-1], black, appearance_weight=0)[:, ::-1], found, atol=1e-5)
    exact = crf_oracle.mean_field(np.log(probabilities), crf_oracle.kernels(black), (3, 0), 10)
    np.testing.assert_allclose(found, exact, atol=5e-3)


def test_classes_have_no_order() -> None:
    probabilities = random_probabilities((13, 17, 4))
    image = np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)
    order = [2, 0, 3, 1]
    np.testing.assert_allclose(
        dense_crf(probabilities[..., order], image), dense_crf(probabilities, image)[..., order], atol=1e-5
    )


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_certain_probabilities_and_great_weights_stay_finite(value: float) -> None:
    probabilities = np.full((6, 8, 2), value, np.float64)
    probabilities[..., 1] = 1 - value
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    found = dense_crf(probabilities, image, smoothness_weight=1e4, appearance_weight=1e4)
    assert np.isfinite(found).all() and (found.argmax(-1) == probabilities.argmax(-1)).all()


def test_inputs_are_not_written_to() -> None:
    probabilities, image = random_probabilities((6, 8, 3)), np.full((6, 8, 3), 9, np.uint8)
    before = probabilities.copy()
    dense_crf(probabilities, image)
    np.testing.assert_array_equal(probabilities, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image": np.zeros((6, 7, 3), np.uint8)}, r"\(6, 8, 2\) and \(6, 7, 3\)"),
        ({"image": np.zeros((6, 8), np.uint8)}, r"\(6, 8\)"),
        ({"probabilities": np.zeros((6, 8))}, r"probabilities \(height, width, classes\)"),
        ({"iterations": -1}, "iterations .* -1"),
        ({"smoothness_weight": -1.0}, "smoothness_weight .* -1"),
        ({"appearance_weight": float("nan")}, "appearance_weight .* nan"),
        ({"colour_deviation": 0.0}, "colour_deviation .* above 0"),
        ({"appearance_deviation": float("inf")}, "appearance_deviation .* inf"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"probabilities": np.full((6, 8, 2), 0.5), "image": np.zeros((6, 8, 3), np.uint8)}
    with pytest.raises(ValueError, match=message):
        dense_crf(**{**good, **arguments})  # type: ignore[arg-type]


def test_a_segmenter_refines_at_the_images_own_size() -> None:
    class Fixed(Segmenter):
        num_classes, input_size = 3, (5, 7)

        def run(self, images: np.ndarray) -> np.ndarray:
            return random_probabilities((1, 5, 7, 3))

    image = np.random.default_rng(0).integers(0, 256, (11, 15, 3), np.uint8)
    refined = DenseCRFSegmenter(Fixed())
    assert (refined.num_classes, refined.input_size) == (3, (5, 7))
    np.testing.assert_array_equal(refined.probabilities(image), dense_crf(Fixed().probabilities(image), image))
    np.testing.assert_array_equal(refined.run(image[None]), Fixed().run(image[None]))
