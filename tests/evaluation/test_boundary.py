import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from keras_segnet.evaluation.boundary import DEFINITIONS, boundary_f1
from keras_segnet.metrics import BoundaryF1

# The slow and obvious answer, pixel by pixel.


def outline(image, value, ignored):
    """The boundary of a class as a list of places, by Berkeley's rule (seg2bmap.m), but for ignored pixels."""
    height, width = image.shape
    found = []
    for y in range(height):
        for x in range(width):
            right, down = x + 1 < width, y + 1 < height
            others = []
            if right:
                others.append((y, x + 1))
            if down:
                others.append((y + 1, x))
            if right and down:
                others.append((y + 1, x + 1))
            differs = any((image[place] == value) != (image[y, x] == value) for place in others)
            if differs and not any(ignored[place] for place in [(y, x), *others]):
                found.append((y, x))
    return found


def most_pairs(left, right, within):
    """The best assignment where a pair of near places costs nothing and any other costs 1: an outlier, twice."""
    costs = [[0 if math.dist(a, b) <= within else 1 for b in right] for a in left]
    return min(len(left), len(right)) - int(np.array(costs)[linear_sum_assignment(costs)].sum())


def oracle(label, prediction, classes, ignore_class, definition, tolerance):
    within = tolerance * math.hypot(*label.shape)
    nothing = np.zeros(label.shape, bool)
    hidden = nothing if definition == "released" else label == ignore_class
    scores = []
    for c in range(classes):
        true, predicted = (outline(image, c, hidden) for image in (label, prediction))
        if (not true and not predicted) or (definition == "csurka" and c not in label):
            scores.append(math.nan)
        elif not true or not predicted:
            scores.append(0.0)
        elif definition == "released":
            pairs = most_pairs(true, predicted, within)
            scores.append(2 * pairs / (len(true) + len(predicted)))
        else:
            precision, recall = (
                sum(any(math.dist(a, b) <= within for b in other) for a in own) / len(own)
                for own, other in ((predicted, true), (true, predicted))
            )
            scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return scores


@st.composite
def cases(draw):
    """A label and a prediction of patches, of odd sizes too, and a tolerance that is often the length of a step."""
    classes = draw(st.integers(1, 4))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    patch = draw(st.integers(1, 4))

    def image(values):
        small = random.choice(values, (-(-height // patch), -(-width // patch)))
        return np.kron(small, np.ones((patch, patch), int))[:height, :width]

    label, prediction = image([*range(classes), 9]), image(range(classes))
    if draw(st.booleans()):
        prediction = np.where(random.random(label.shape) < 0.8, np.where(label == 9, prediction, label), prediction)
    within = draw(st.sampled_from([0, 0.5, 1, math.sqrt(2), 1.5, 2, math.sqrt(5), 3, 4.5, 5, 20]))
    return label.astype("uint8"), prediction, classes, within / math.hypot(height, width) * (1 + 1e-12)


@pytest.mark.parametrize("definition", DEFINITIONS)
@settings(max_examples=150)
@given(cases())
def test_every_class_of_random_images(definition, case):
    label, prediction, classes, tolerance = case
    for ignore_class in (9, None):
        found = boundary_f1(label, prediction, classes, ignore_class, definition, tolerance)
        expected = oracle(label, prediction, classes, ignore_class, definition, tolerance)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


# Shapes, and what they score by hand.


def stripes(size, *edges):
    """Vertical stripes of classes 0, 1, 2, ..., each beginning at an edge: their boundaries are the columns before."""
    label = np.zeros(size, np.uint8)
    for edge in edges:
        label[:, edge:] += 1
    return label


@pytest.mark.parametrize(
    ("size", "shift", "score"),
    [
        ((360, 480), 4, 1.0),  # 4.5 pixels are allowed.
        ((360, 480), 5, 0.0),
        ((300, 400), 3, 1.0),  # 3.75.
        ((300, 400), 4, 0.0),
        ((480, 640), 6, 1.0),  # 6 exactly.
        ((480, 640), 7, 0.0),
    ],
)
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_an_edge_counts_within_the_tolerance(size, shift, score, definition):
    true, predicted = stripes(size, 200), stripes(size, 200 + shift)
    assert boundary_f1(true, predicted, 2, None, definition).tolist() == [score, score]


@pytest.mark.parametrize(
    ("step", "near", "one_to_one"),
    [
        ((3, 4), 1, 1),
        ((4, 3), 1, 1),
        ((0, 5), 1, 1),
        # The near columns of the blocks are 5 apart, the far ones 7.
        ((0, 6), 1 / 2, 1 / 2),
        # From the facing corner of the other block, that of this one is (3, 3) away, its neighbours are (3, 4) and the
        # far corner is (4, 4), too far. So three are near, but two of them only the one pixel that all three are near.
        ((4, 4), 3 / 4, 2 / 4),
        ((5, 5), 0, 0),
    ],
)
def test_distances_are_euclidean(step, near, one_to_one):
    """One pixel of class 1: its boundary is the 2x2 pixels of which it is the lower right one. 5 pixels are allowed."""
    true, predicted = np.zeros((2, 300, 400), np.uint8)
    true[100, 100] = predicted[100 + step[0], 100 + step[1]] = 1
    assert boundary_f1(true, predicted, 2, definition="csurka", tolerance=0.01)[1] == near
    assert boundary_f1(true, predicted, 2, definition="released", tolerance=0.01)[1] == one_to_one


def test_precision_and_recall():
    # Label: one edge. Prediction: the same edge, and another a long way off. Half of the boundary predicted is right,
    # and all of that labelled is met: F1 is 2/3.
    true, predicted = stripes((300, 400), 200), stripes((300, 400), 200)
    predicted[:, 300:] = 0
    for definition in DEFINITIONS:
        np.testing.assert_allclose(boundary_f1(true, predicted, 2, None, definition), [2 / 3, 2 / 3])
        np.testing.assert_allclose(boundary_f1(predicted, true, 2, None, definition), [2 / 3, 2 / 3])


@pytest.mark.parametrize(("definition", "scores"), [("csurka", [1, 1, math.nan]), ("released", [1, 2 / 3, 0])])
def test_the_definitions_differ_where_a_stripe_is_thin_and_a_class_is_made_up(definition, scores):
    # Class 1 begins where it should, but ends two pixels on, where there is class 2, of which the label has none. So
    # class 1 has two lines of boundary near one: near enough, but there are no two pixels for one.
    true, predicted = stripes((300, 400), 200), stripes((300, 400), 200, 202)
    np.testing.assert_allclose(boundary_f1(true, predicted, 3, None, definition), scores)
    metric = BoundaryF1(3, None, definition)
    metric.update_state(true, predicted)
    assert metric.result() == pytest.approx(np.nanmean(scores))


def test_ignored_pixels_hide_boundaries_or_are_one_class_more():
    true, predicted = stripes((300, 400), 200), stripes((300, 400), 200)
    # Over the upper third of the edge the label is unknown, and the prediction wrong.
    true[:100, 150:250] = 9
    predicted[:100, 160:240] = 2
    assert boundary_f1(true, predicted, 3, 9, "csurka")[:2].tolist() == [1, 1]
    released = boundary_f1(true, predicted, 3, 9, "released")
    np.testing.assert_array_equal(released, boundary_f1(true, predicted, 3, None, "released"))
    assert released[2] == 0 and (released[:2] < 1).all()


def test_without_a_boundary_there_is_no_score_in_one_definition_and_0_in_the_other():
    flat, edge = np.ones((20, 30), np.uint8), stripes((20, 30), 10)
    for definition, alone, beside in (("csurka", math.nan, 1.0), ("released", 0.0, 0.5)):
        assert np.isnan(boundary_f1(flat, flat, 2, None, definition)).all()
        metric = BoundaryF1(2, None, definition)
        assert np.isnan(metric.result())
        metric.update_state(flat, flat)
        np.testing.assert_equal(metric.result(), alone)
        metric.update_state(edge, edge)
        assert metric.result() == beside
        # Where an edge is predicted, class 1, which the label holds, has F1 0.
        assert boundary_f1(flat, edge, 2, None, definition)[1] == 0


# The metric.


def test_the_score_is_the_mean_over_classes_and_then_over_images():
    # Image 1 has two classes that score 1, image 2 four: 1, 1, 0 and 0, image 3 two that score 0.
    pairs = [
        (stripes((300, 400), 100), stripes((300, 400), 100)),
        (stripes((300, 400), 100, 200, 300), stripes((300, 400), 100, 220, 320)),
        (stripes((300, 400), 100), stripes((300, 400), 180)),
    ]
    second = boundary_f1(*pairs[1], 4)
    np.testing.assert_allclose(second, [1, 1 / 2, 0, 0])  # Class 1 has two edges, of which one is met.
    labels, predictions = (np.stack(images) for images in zip(*pairs, strict=True))
    expected = (1 + np.mean(second) + 0) / 3

    at_once, one_by_one, from_probabilities = (BoundaryF1(4) for _ in range(3))
    at_once.update_state(labels[..., None], predictions)
    assert at_once.result() == pytest.approx(expected)
    for label, prediction in pairs * 20:
        one_by_one.update_state(label, prediction)
    assert one_by_one.result() == pytest.approx(expected)
    from_probabilities.update_state(labels, np.eye(4, dtype="float32")[predictions])
    assert from_probabilities.result() == pytest.approx(expected)

    at_once.reset_state()
    assert np.isnan(at_once.result())
    at_once.update_state(*pairs[0])
    assert at_once.result() == 1


def test_serialisation_keeps_everything():
    metric = BoundaryF1(5, 255, "csurka", 0.02, name="its_name")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is BoundaryF1
    assert again.get_config() == metric.get_config()
    assert (again.definition, again.tolerance, again.name) == ("csurka", 0.02, "its_name")


@pytest.mark.parametrize("eager", [True, False])
def test_keras_takes_it_eagerly(eager):
    model = keras.Sequential([keras.Input((20, 30, 2)), keras.layers.Activation("softmax")])
    model.compile(loss="sparse_categorical_crossentropy", metrics=[BoundaryF1(2)], run_eagerly=eager)
    label, prediction = stripes((20, 30), 10), stripes((20, 30), 10)
    arguments = {"x": np.eye(2)[prediction][None], "y": label[None], "verbose": 0, "return_dict": True}
    if eager:
        assert model.evaluate(**arguments)["boundary_f1"] == 1
    else:
        with pytest.raises(ValueError, match="run_eagerly=True"):
            model.evaluate(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"definition": "berkeley"}, "definition must be one of released, csurka; not 'berkeley'"),
        ({"tolerance": -1}, "tolerance must be .* not -1"),
    ],
)
def test_other_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BoundaryF1(2, **arguments)


def test_what_does_not_go_together_is_refused():
    metric = BoundaryF1(2)
    with pytest.raises(ValueError, match="must agree"):
        metric.update_state(np.zeros((1, 4, 5)), np.zeros((1, 5, 4)))
    with pytest.raises(ValueError, match="takes no sample_weight"):
        metric.update_state(np.zeros((1, 4, 5)), np.zeros((1, 4, 5)), sample_weight=np.ones(1))
    assert np.isnan(metric.result())
