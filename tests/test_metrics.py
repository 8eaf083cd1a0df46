import math

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.metrics import (
    BoundaryF1,
    ClassAverageAccuracy,
    ConfusionMatrix,
    GlobalAccuracy,
    MeanIoU,
    SegmentationScores,
)

SINGLE = {"global_accuracy": GlobalAccuracy, "class_average_accuracy": ClassAverageAccuracy, "mean_iou": MeanIoU}


def oracle(labels, predictions, classes, ignored):
    """The scores, one class at a time from sets of pixels. None where there is nothing to divide by."""
    pixels = [(y, p) for y, p in zip(labels.ravel(), predictions.ravel(), strict=True) if y != ignored]
    accuracies, ious, labelled = [], [], []
    for c in range(classes):
        true = {i for i, (y, _) in enumerate(pixels) if y == c}
        predicted = {i for i, (_, p) in enumerate(pixels) if p == c}
        labelled.append(len(true))
        accuracies.append(len(true & predicted) / len(true) if true else None)
        ious.append(len(true & predicted) / len(true | predicted) if true | predicted else None)

    def mean(values):
        values = [v for v in values if v is not None]
        return sum(values) / len(values) if values else None

    return {
        "global_accuracy": sum(y == p for y, p in pixels) / len(pixels) if pixels else None,
        "class_average_accuracy": mean(accuracies),
        "mean_iou": mean(ious),
        "class_accuracy": accuracies,
        "class_iou": ious,
        "pixels": labelled,
    }


@st.composite
def labelled_predictions(draw):
    """Labels, predictions, number of classes and ignored value; often some class is absent from one or both."""
    classes = draw(st.integers(2, 6))
    ignored = draw(st.sampled_from([None, 255, -1, 11]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    labels_held = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes))
    predictions_held = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes))
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    labels = random.choice(labels_held + ([] if ignored is None else [ignored]), shape)
    return labels, random.choice(predictions_held, shape), classes, ignored


def as_logits(predictions, classes, seed=0):
    """Predictions as a network gives them: the largest of noisy numbers."""
    noise = np.random.default_rng(seed).uniform(0, 0.9, (*predictions.shape, classes))
    return (noise + np.eye(classes)[predictions]).astype("float32")


def matrix_of(metric):
    """The exact counts, from the two variables that hold them."""
    values = {variable.name: np.asarray(variable).astype(object) for variable in metric.variables}
    return (values["high"] * 2**20 + values["low"]).reshape(metric.num_classes, metric.num_classes)


def fill(metric, matrix):
    counts = np.array(matrix, object).ravel()
    for variable in metric.variables:
        variable.assign((counts // 2**20 if variable.name == "high" else counts % 2**20).astype("int32"))


# In numpy.


@settings(max_examples=150)
@given(labelled_predictions())
def test_scores_equal_those_counted_class_by_class(case):
    labels, predictions, classes, ignored = case
    matrix = ConfusionMatrix(classes, ignored)
    matrix.add(labels, predictions)
    scores, expected = matrix.scores(), oracle(*case)
    for name, value in expected.items():
        if name != "pixels":
            value = np.array([math.nan if v is None else v for v in np.atleast_1d(np.array(value, object))])
        np.testing.assert_allclose(np.atleast_1d(getattr(scores, name)), value, rtol=1e-12, err_msg=name)


def test_rows_are_labels_and_columns_predictions():
    matrix = ConfusionMatrix(3, ignore_class=255)
    matrix.add(np.array([[0, 0, 1], [2, 2, 255]], "uint8"), np.array([[0, 1, 1], [0, 0, 2]]))
    assert matrix.counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 0]]
    scores = matrix.scores()
    assert scores.global_accuracy == 2 / 5
    assert scores.class_accuracy.tolist() == [1 / 2, 1, 0]
    assert scores.class_average_accuracy == 0.5
    assert scores.class_iou.tolist() == [1 / 4, 1 / 2, 0]
    assert scores.mean_iou == 0.25
    assert scores.pixels.tolist() == [2, 1, 2]


def test_a_class_that_only_predictions_hold_counts_in_the_iou_alone():
    matrix = ConfusionMatrix(3)
    matrix.add(np.array([0, 0]), np.array([0, 2]))
    scores = matrix.scores()
    assert scores.class_average_accuracy == 0.5
    assert scores.mean_iou == (1 / 2 + 0) / 2
    assert np.isnan(scores.class_accuracy).tolist() == [False, True, True]
    assert np.isnan(scores.class_iou).tolist() == [False, True, False]


def test_without_a_valid_pixel_there_are_no_scores():
    matrix = ConfusionMatrix(2, ignore_class=2)
    matrix.add(np.array([2, 2]), np.array([0, 1]))
    scores = matrix.scores()
    assert np.isnan([scores.global_accuracy, scores.class_average_accuracy, scores.mean_iou]).all()


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 1], [0, 1, 1], "must agree"),
        ([0, 3], [0, 0], "a label is 3; allowed are 0 to 2"),
        ([0, -1], [0, 0], "a label is -1; allowed are 0 to 2"),
        ([0, 0], [0, 3], "a prediction is 3; allowed are 0 to 2"),
        ([0, 0], [0, -1], "a prediction is -1; allowed are 0 to 2"),
    ],
)
def test_what_is_no_class_is_refused_and_not_counted(labels, predictions, message):
    matrix = ConfusionMatrix(3, ignore_class=255)
    with pytest.raises(ValueError, match=message):
        matrix.add(np.array(labels), np.array(predictions))
    assert not matrix.counts.any()


# In Keras.


@settings(max_examples=40)
@given(labelled_predictions(), st.booleans())
def test_keras_metrics_equal_the_oracle_and_numpys_confusion_matrix(case, rank_4):
    labels, predictions, classes, ignored = case
    matrix = ConfusionMatrix(classes, ignored)
    matrix.add(labels, predictions)
    expected = oracle(*case)
    y_true = labels[..., None] if rank_4 else labels
    together = SegmentationScores(classes, ignored)
    together.update_state(y_true, as_logits(predictions, classes))
    assert matrix_of(together).tolist() == matrix.counts.tolist()
    np.testing.assert_array_equal(together.confusion_matrix(), matrix.counts)
    result = together.result()
    assert result.keys() == SINGLE.keys()
    for name, metric_class in SINGLE.items():
        metric = metric_class(classes, ignored)
        metric.update_state(y_true, as_logits(predictions, classes))
        # Keras has no NaN: nothing to divide by gives 0.
        np.testing.assert_allclose(metric.result(), expected[name] or 0, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(result[name], expected[name] or 0, rtol=1e-6, err_msg=name)


@settings(max_examples=15)
@given(labelled_predictions(), st.integers(1, 20))
def test_many_updates_equal_one(case, cut):
    labels, predictions, classes, ignored = case
    labels, predictions = labels.ravel(), predictions.ravel()
    whole, parts = SegmentationScores(classes, ignored), SegmentationScores(classes, ignored)
    numpys = ConfusionMatrix(classes, ignored)
    whole.update_state(labels, as_logits(predictions, classes))
    for start in range(0, labels.size, cut):
        piece = slice(start, start + cut)
        parts.update_state(labels[piece], as_logits(predictions[piece], classes))
        numpys.add(labels[piece], predictions[piece])
    assert matrix_of(parts).tolist() == matrix_of(whole).tolist() == numpys.counts.tolist()


def test_the_first_of_equal_predictions_counts():
    metric = SegmentationScores(3)
    metric.update_state(np.array([1]), np.array([[0.2, 0.4, 0.4]]))
    assert matrix_of(metric).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("count", [2**20 - 1, 2**20, 2**24 + 1, 2**31 - 1, 2**31, 2**32 + 5, 2**50 + 1])
def test_counts_stay_exact(count):
    metric = SegmentationScores(2)
    fill(metric, [[count, 3], [2**20 - 1, count]])
    metric.update_state(np.array([0, 1, 1, 1]), as_logits(np.array([0, 0, 1, 1]), 2))
    assert matrix_of(metric).tolist() == [[count + 1, 3], [2**20, count + 2]]


@pytest.mark.parametrize("count", [2**24 + 1, 2**31 + 1, 2**40 + 1])
def test_scores_of_large_counts_are_right(count):
    counts = [[count, count // 3], [7 * count, 2 * count]]
    metric, numpys = SegmentationScores(2), ConfusionMatrix(2)
    fill(metric, counts)
    numpys.counts[:] = counts
    expected = {
        "global_accuracy": 3 * count / (count + count // 3 + 9 * count),
        "class_average_accuracy": (count / (count + count // 3) + 2 / 9) / 2,
        "mean_iou": (count / (8 * count + count // 3) + 2 * count / (9 * count + count // 3)) / 2,
    }
    for name, value in metric.result().items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5)
        np.testing.assert_allclose(getattr(numpys.scores(), name), expected[name], rtol=1e-12)


@pytest.mark.parametrize("metric_class", [*SINGLE.values(), SegmentationScores])
def test_reset_state_forgets_everything(metric_class):
    metric = metric_class(2)
    fill(metric, [[2**40, 1], [2, 3]])
    metric.reset_state()
    assert matrix_of(metric).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("metric_class", [*SINGLE.values(), SegmentationScores])
def test_sample_weights_are_refused(metric_class):
    with pytest.raises(ValueError, match="takes no sample_weight"):
        metric_class(2).update_state(np.array([0]), np.array([[0.5, 0.5]]), sample_weight=np.array([1.0]))


@pytest.mark.parametrize("metric_class", [*SINGLE.values(), SegmentationScores])
def test_serialisation_keeps_everything(metric_class):
    metric = metric_class(5, 255, name="its_name")
    again = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(again) is metric_class
    assert (again.num_classes, again.ignore_class, again.name) == (5, 255, "its_name")


@pytest.mark.parametrize("jit_compile", [False, True])
def test_scores_are_reported_by_fit_and_evaluate(jit_compile, tmp_path):
    random = np.random.default_rng(1)
    x = random.normal(size=(5, 4, 6, 3)).astype("float32")
    labels = random.choice([0, 1, 2, 255], (5, 4, 6)).astype("uint8")
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(4, 1)])
    # A rate of 0 trains nothing; the batches are of unequal size.
    model.compile(
        keras.optimizers.SGD(0.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255),
        metrics=[SegmentationScores(4, 255)],
        jit_compile=jit_compile,
    )
    expected = oracle(labels, model.predict(x, verbose=0).argmax(axis=-1), 4, 255)
    history = model.fit(x, labels, batch_size=2, epochs=2, validation_data=(x, labels), verbose=0).history
    for name in SINGLE:
        np.testing.assert_allclose(history[name], [expected[name]] * 2, rtol=1e-6)
        np.testing.assert_allclose(history[f"val_{name}"], [expected[name]] * 2, rtol=1e-6)

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    evaluated = again.evaluate(x, labels, batch_size=3, return_dict=True, verbose=0)
    assert {name: pytest.approx(evaluated[name]) for name in SINGLE} == {name: expected[name] for name in SINGLE}


def test_single_metrics_are_reported_under_their_names():
    x, labels = np.zeros((2, 3, 3, 1), "float32"), np.array([[[0, 1, 2]] * 3] * 2)
    model = keras.Sequential([keras.Input((3, 3, 1)), keras.layers.Conv2D(3, 1)])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[metric_class(3, name=name) for name, metric_class in SINGLE.items()],
    )
    result = model.evaluate(x, labels, return_dict=True, verbose=0)
    # Everything is predicted as class 0: a third is right, and of the union of that class.
    assert result["global_accuracy"] == pytest.approx(1 / 3)
    assert result["class_average_accuracy"] == pytest.approx(1 / 3)
    assert result["mean_iou"] == pytest.approx((1 / 3) / 3)


ONE_CLASS = np.array([[1, 0], [1, 0]])
"""Weights by which every pixel is of class 0."""


@pytest.mark.parametrize("metric", ["global_accuracy", "class_average_accuracy", "mean_iou", "boundary_f1"])
@pytest.mark.parametrize("together", [True, False])
def test_callbacks_know_that_more_is_better(metric, together, tmp_path):
    """Of no mode, Keras's callbacks ask the metric that they monitor.

    The best epoch's weights are kept and come back, and the rate falls after the worse one.
    """
    single = {**SINGLE, "boundary_f1": BoundaryF1}
    metrics = [SegmentationScores(2), BoundaryF1(2)] if together else [single[metric](2)]
    model = keras.Sequential([keras.Input((4, 6, 2)), keras.layers.EinsumDense("bhwc,cd->bhwd", (None, None, 2))])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=metrics, run_eagerly=True)
    labels = np.arange(24).reshape(1, 4, 6) // 3 % 2
    images = np.eye(2)[labels]
    matrices = iter([ONE_CLASS, np.eye(2), ONE_CLASS])
    set_weights = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: model.set_weights([next(matrices)]))
    model.optimizer.learning_rate = 1e-9
    monitoring = [
        keras.callbacks.ReduceLROnPlateau(f"val_{metric}", patience=1, min_delta=0),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", f"val_{metric}", save_best_only=True),
        keras.callbacks.EarlyStopping(f"val_{metric}", patience=1, restore_best_weights=True),
    ]
    history = model.fit(
        images, labels, epochs=3, validation_data=(images, labels), callbacks=[set_weights, *monitoring], verbose=0
    )
    first, second, third = history.history[f"val_{metric}"]
    assert first == third < second == 1
    best = keras.models.load_model(tmp_path / "best.keras")
    for weights in (model.get_weights()[0], best.get_weights()[0]):
        np.testing.assert_allclose(weights, np.eye(2), atol=1e-6)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-10)
    assert best.evaluate(images, labels, return_dict=True, verbose=0)[metric] == 1


def test_evaluate_lists_every_score():
    model = keras.Sequential([keras.Input((4, 6, 2)), keras.layers.Softmax()])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(), metrics=[SegmentationScores(2)])
    labels = np.arange(24).reshape(1, 4, 6) // 3 % 2
    listed = model.evaluate(np.eye(2)[labels], labels, verbose=0)
    named = model.evaluate(np.eye(2)[labels], labels, verbose=0, return_dict=True)
    assert listed == [named[name] for name in ("loss", *SegmentationScores(2).result())]
