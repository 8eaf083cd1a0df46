import keras
import numpy as np
import pytest

from keras_segnet.callbacks import (
    BatchNormRecalibration,
    MedianFrequencyBalancing,
    WeightAveraging,
    averaged_weights,
)
from keras_segnet.data import camvid
from keras_segnet.data.dataset import Classes, Example, SegmentationDataset
from keras_segnet.data.statistics import ClassStatistics, count_classes, median_frequency_weights
from keras_segnet.errors import InputError
from keras_segnet.losses import WeightedCrossentropy

IGNORED = 9


class Arrays(SegmentationDataset):
    """A data set in memory."""

    def __init__(self, labels, classes=4):
        self.name = "arrays"
        self.classes = Classes(tuple("abcd"[:classes]), ((0, 0, 0),) * classes, IGNORED)
        self.labels = [np.array(label, "uint8") for label in labels]
        self.reads = 0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        self.reads += 1
        label = self.labels[index]
        return Example(np.repeat(40 * label[..., None], 3, axis=-1), label)

    def item_name(self, index):
        return str(index)


# Class:      0  1  2  3 (absent)  ignored
# image 1:    6  2  0  0  2     of 10 pixels, 8 of them labelled
# image 2:    2  0  2  0  0     of  4
LABELS = [[[0, 0, 0, 0, 0], [0, 1, 1, IGNORED, IGNORED]], [[0, 0], [2, 2]]]


def silent(items, total, description):
    return items


def test_pixels_are_counted_over_all_images_and_over_those_that_hold_the_class():
    statistics = count_classes(Arrays(LABELS))
    assert statistics.pixels.tolist() == [8, 2, 2, 0, 2]
    assert statistics.pixels_where_present.tolist() == [14, 10, 4, 0, 10]


@pytest.mark.parametrize(
    ("definition", "frequencies", "median"),
    [
        # Without the ignored class in the median: of 8/14, 2/10, 2/4.
        ("presence", (8 / 14, 2 / 10, 2 / 4), 2 / 4),
        # With it (2/10) the median of four numbers is the mean of the middle two.
        ("presence_with_ignored", (8 / 14, 2 / 10, 2 / 4), (2 / 10 + 2 / 4) / 2),
        # Of the 12 labelled pixels.
        ("global", (8 / 12, 2 / 12, 2 / 12), 2 / 12),
    ],
)
def test_weights_are_the_median_frequency_over_the_frequency(definition, frequencies, median):
    weights = median_frequency_weights(count_classes(Arrays(LABELS)), definition)
    np.testing.assert_allclose(weights, [*(median / f for f in frequencies), 0], rtol=1e-12)


@pytest.mark.parametrize("exponent", [0.5, 0, 2])
def test_an_exponent_is_applied_to_the_weights_of_classes_that_occur(exponent):
    statistics = count_classes(Arrays(LABELS))
    weights = median_frequency_weights(statistics, exponent=exponent)
    plain = median_frequency_weights(statistics)
    np.testing.assert_allclose(weights, [*(w**exponent for w in plain[:3]), 0], rtol=1e-12)


def test_no_weight_is_larger_than_the_largest_one_that_is_asked_for():
    statistics = ClassStatistics(np.array([900, 99, 1, 0, 0]), np.full(5, 1000))
    np.testing.assert_allclose(median_frequency_weights(statistics), [0.11, 1, 99, 0], rtol=1e-12)
    np.testing.assert_allclose(median_frequency_weights(statistics, largest=10), [0.11, 1, 10, 0], rtol=1e-12)
    np.testing.assert_allclose(
        median_frequency_weights(statistics, exponent=0.5, largest=9.9), [0.11**0.5, 1, 9.9, 0], rtol=1e-12
    )
    for wrong in (0, -1, float("nan")):
        with pytest.raises(InputError, match="largest must be above 0"):
            median_frequency_weights(statistics, largest=wrong)


@pytest.mark.parametrize("definition", ["presence", "presence_with_ignored", "global"])
def test_counts_beyond_32_bits_are_no_trouble(definition):
    small = ClassStatistics(np.array([3, 2, 1, 1]), np.array([6, 6, 6, 6]))
    large = ClassStatistics(small.pixels * 2**40, small.pixels_where_present * 2**40)
    np.testing.assert_allclose(
        median_frequency_weights(large, definition), median_frequency_weights(small, definition), rtol=1e-12
    )


def test_a_set_without_a_labelled_pixel_is_refused():
    with pytest.raises(InputError, match="no labelled pixel"):
        median_frequency_weights(count_classes(Arrays([[[IGNORED, IGNORED]]])))


def test_an_unknown_definition_is_refused_at_once():
    with pytest.raises(InputError, match="`definition` must be presence, presence_with_ignored or global"):
        MedianFrequencyBalancing(Arrays(LABELS), "median")
    with pytest.raises(InputError, match="`balancing` must be presence, presence_with_ignored or global"):
        median_frequency_weights(count_classes(Arrays(LABELS)), "median")


# In training.


def compiled_model(classes=4, loss=None, **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(classes, 1, activation="softmax")])
    model.compile(
        keras.optimizers.SGD(0.01),
        WeightedCrossentropy(classes, ignore_class=IGNORED) if loss is None else loss,
        **options,
    )
    return model


def training_data():
    random = np.random.default_rng(3)
    return random.uniform(size=(2, 3, 4, 3)).astype("float32"), random.choice([0, 1, 2, 3, IGNORED], (2, 3, 4))


def expected_loss(model, x, labels, weights):
    probabilities = model.predict(x, verbose=0)
    losses = [
        weights[labels[place]] * -np.log(probabilities[place][labels[place]])
        for place in np.ndindex(labels.shape)
        if labels[place] != IGNORED
    ]
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("definition", "fitted_before", "jit_compile"),
    [
        ("presence", False, False),
        ("presence", True, False),
        ("presence", True, True),
        ("presence_with_ignored", False, True),
        ("global", True, False),
    ],
)
def test_the_weights_are_in_effect_from_the_first_step(definition, fitted_before, jit_compile):
    dataset = Arrays(LABELS)
    weights = median_frequency_weights(count_classes(dataset), definition)
    model = compiled_model(jit_compile=jit_compile)
    x, labels = training_data()
    if fitted_before:
        model.fit(x, labels, verbose=0)
    expected = expected_loss(model, x, labels, weights)
    assert abs(expected - expected_loss(model, x, labels, np.ones(4))) > 0.01
    balancing = MedianFrequencyBalancing(dataset, definition, progress=silent)
    losses = model.fit(x, labels, batch_size=2, callbacks=[balancing], verbose=0).history["loss"]
    np.testing.assert_allclose(losses[0], expected, rtol=1e-5)
    np.testing.assert_array_equal(balancing.class_weights, weights)


def test_the_callback_applies_its_exponent():
    x, labels = training_data()
    model, dataset = compiled_model(), Arrays(LABELS)
    expected = expected_loss(model, x, labels, median_frequency_weights(count_classes(dataset), "global") ** 0.5)
    balancing = MedianFrequencyBalancing(dataset, "global", exponent=0.5, progress=silent)
    losses = model.fit(x, labels, callbacks=[balancing], verbose=0).history["loss"]
    np.testing.assert_allclose(losses[0], expected, rtol=1e-5)


def test_weights_of_another_data_set_replace_those_of_the_first():
    model = compiled_model()
    x, labels = training_data()
    for dataset in (Arrays(LABELS), Arrays([[[0, 1, 2, 3, 3, 3]]])):
        expected = expected_loss(model, x, labels, median_frequency_weights(count_classes(dataset)))
        history = model.fit(x, labels, callbacks=[MedianFrequencyBalancing(dataset, progress=silent)], verbose=0)
        np.testing.assert_allclose(history.history["loss"][0], expected, rtol=1e-5)


def test_a_data_set_is_read_once_however_often_it_is_used():
    dataset = Arrays(LABELS)
    x, labels = training_data()
    for _ in range(3):
        compiled_model().fit(x, labels, callbacks=[MedianFrequencyBalancing(dataset, progress=silent)], verbose=0)
    assert dataset.reads == len(dataset)


def test_progress_sees_every_image():
    seen = []

    def progress(items, total, description):
        for item in items:
            seen.append((total, description))
            yield item

    x, labels = training_data()
    compiled_model().fit(x, labels, callbacks=[MedianFrequencyBalancing(Arrays(LABELS), progress=progress)], verbose=0)
    assert seen == [(2, "Reading arrays")] * 2


def test_the_default_progress_says_what_is_read(capsys):
    x, labels = training_data()
    compiled_model().fit(x, labels, callbacks=[MedianFrequencyBalancing(Arrays(LABELS))], verbose=0)
    assert "Reading arrays" in capsys.readouterr().out


def test_a_model_of_another_loss_is_refused():
    x, labels = training_data()
    model = compiled_model(loss="sparse_categorical_crossentropy")
    with pytest.raises(InputError, match="the model's loss is 'sparse_categorical_crossentropy'"):
        model.fit(x, labels, callbacks=[MedianFrequencyBalancing(Arrays(LABELS), progress=silent)], verbose=0)


def test_a_loss_of_other_classes_than_the_data_set_is_refused():
    x, labels = training_data()
    with pytest.raises(InputError, match="the loss has 4 classes and arrays has 3"):
        compiled_model().fit(
            x, labels, callbacks=[MedianFrequencyBalancing(Arrays(LABELS, classes=3), progress=silent)], verbose=0
        )


def test_a_faulty_data_set_stops_training_before_it_starts():
    class Faulty(Arrays):
        def check(self, index):
            raise InputError(f"example {index} is damaged")

    x, labels = training_data()
    model = compiled_model()
    before = model.get_weights()
    with pytest.raises(InputError, match="is damaged"):
        model.fit(x, labels, callbacks=[MedianFrequencyBalancing(Faulty(LABELS), progress=silent)], verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


# CamVid's training labels: figures computed from the definition, and published nowhere.

PIXELS = (10682767, 14750079, 623349, 20076880, 2845085, 6166762, 743859, 714595, 3719877, 405385, 184967, 2503995)
GOLDEN = {
    "presence": (0.2793, 0.2017, 4.7865, 0.1490, 1.0, 0.4217, 3.8467, 1.9736, 0.7889, 6.3747, 8.8587),
    "presence_with_ignored": (
        0.2565, 0.1853, 4.3963, 0.1369, 0.9185, 0.3873, 3.5331, 1.8127, 0.7246, 5.8550, 8.1365,
    ),
    "global": (0.2663, 0.1929, 4.5642, 0.1417, 1.0, 0.4614, 3.8248, 3.9814, 0.7648, 7.0182, 15.3816),
}  # fmt: skip


@pytest.fixture(scope="module")
def camvid_statistics(camvid_folder):
    dataset = camvid(camvid_folder, "train")
    assert len(dataset) == 367
    return count_classes(dataset)


def test_camvids_training_pixels(camvid_statistics):
    assert tuple(camvid_statistics.pixels) == PIXELS


@pytest.mark.parametrize("definition", list(GOLDEN))
def test_camvids_class_weights(camvid_statistics, definition):
    np.testing.assert_allclose(
        median_frequency_weights(camvid_statistics, definition), GOLDEN[definition], atol=1e-4, rtol=0
    )


# Batch normalisation.


class Pictures(Arrays):
    """Noisy images of one size."""

    def __init__(self, count=5):
        random = np.random.default_rng(4)
        super().__init__(random.integers(0, 4, (count, 4, 6)))
        self.images = random.integers(0, 256, (count, 4, 6, 3)).astype("uint8")

    def __getitem__(self, index):
        return Example(self.images[index], self.labels[index])

    def batches(self, size):
        return [self.images[i : i + size].astype("float64") for i in range(0, len(self), size)]


def normalizing_model(pointwise=2, **compile_options):
    """1x1 convolutions, so that what they compute is a product."""
    keras.utils.set_random_seed(1)
    image = x = keras.Input((4, 6, 3))
    for i in range(pointwise):
        x = keras.layers.Conv2D(5 + i, 1, name=f"conv{i}")(x)
        x = keras.layers.BatchNormalization(
            epsilon=1e-3, gamma_initializer="random_normal", beta_initializer="random_normal", name=f"bn{i}"
        )(x)
        x = keras.layers.ReLU(name=f"relu{i}")(x)
    model = keras.Model(image, keras.layers.Conv2D(4, 1, activation="softmax", name="classifier")(x))
    model.compile(keras.optimizers.SGD(0.01, **compile_options), WeightedCrossentropy(4, ignore_class=IGNORED))
    return model


def statistics_by_hand(model, batches):
    """Means and variances, by the released script's rule: each batch normalised by itself, then averages."""
    means, variances = ([[] for layer in model.layers if "bn" in layer.name] for _ in range(2))
    for x in batches:
        for i in range(len(means)):
            kernel, bias = (w.astype("float64") for w in model.get_layer(f"conv{i}").get_weights())
            gamma, beta, _, _ = (w.astype("float64") for w in model.get_layer(f"bn{i}").get_weights())
            x = x @ kernel[0, 0] + bias
            values = x.reshape(-1, x.shape[-1])
            means[i].append(values.mean(axis=0))
            variances[i].append(values.var(axis=0, ddof=1))
            x = np.maximum(0, (x - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-3) * gamma + beta)
    sizes = [len(x) for x in batches]
    return [
        (np.average(m, axis=0, weights=sizes), np.average(v, axis=0, weights=sizes))
        for m, v in zip(means, variances, strict=True)
    ]


def assert_statistics(model, expected):
    for i, (mean, variance) in enumerate(expected):
        *_, moving_mean, moving_variance = model.get_layer(f"bn{i}").get_weights()
        np.testing.assert_allclose(moving_mean, mean, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(moving_variance, variance, rtol=1e-4)


@pytest.mark.parametrize(("pointwise", "batch_size"), [(1, 5), (2, 2), (3, 4)])
def test_statistics_are_those_of_a_pass_with_each_batch_normalised_by_itself(pointwise, batch_size):
    dataset, model = Pictures(), normalizing_model(pointwise)
    recalibration = BatchNormRecalibration(dataset, batch_size, (4, 6))
    recalibration.set_model(model)
    for _ in range(2):
        recalibration.recalibrate()
        assert_statistics(model, statistics_by_hand(model, dataset.batches(batch_size)))
        # Other weights give other statistics.
        model.set_weights([0.5 * w for w in model.get_weights()])


def training_run(model, dataset, callbacks, **options):
    x, labels = dataset.images.astype("float32"), np.stack(dataset.labels)
    return model.fit(x, labels, batch_size=2, shuffle=False, epochs=3, callbacks=callbacks, verbose=0, **options)


def test_each_validation_uses_them_and_training_does_not():
    dataset = Pictures()
    data = dataset.images.astype("float32"), np.stack(dataset.labels)
    plain, model, seen = normalizing_model(), normalizing_model(), []

    class Look(keras.callbacks.Callback):
        def on_test_end(self, logs=None):
            assert_statistics(model, statistics_by_hand(model, dataset.batches(2)))
            seen.append(logs["loss"])

    training_run(plain, dataset, [], validation_data=data)
    recalibration = BatchNormRecalibration(dataset, 2, (4, 6))
    history = training_run(model, dataset, [recalibration, Look()], validation_data=data).history
    assert history["val_loss"] == seen and len(seen) == 3
    for ours, theirs in zip(model.trainable_variables, plain.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert_statistics(model, statistics_by_hand(model, dataset.batches(2)))
    assert model.evaluate(*data, batch_size=2, verbose=0) == pytest.approx(seen[-1], rel=1e-6)


def test_without_validation_the_end_of_training_has_them():
    dataset, model, passes = Pictures(), normalizing_model(), []

    def progress(items, total, description):
        passes.append((total, description))
        return items

    training_run(model, dataset, [BatchNormRecalibration(dataset, 2, (4, 6), progress)])
    assert_statistics(model, statistics_by_hand(model, dataset.batches(2)))
    assert passes == [(3, "Recalibrating batch normalisation")]


def test_frozen_layers_keep_their_statistics():
    dataset, model = Pictures(), normalizing_model()
    model.get_layer("bn0").trainable = False
    before = model.get_layer("bn0").get_weights()
    recalibration = BatchNormRecalibration(dataset, 2, (4, 6))
    recalibration.set_model(model)
    recalibration.recalibrate()
    np.testing.assert_array_equal(model.get_layer("bn0").get_weights()[3], before[3])
    assert (model.get_layer("bn1").get_weights()[3] != 1).all()


def test_a_network_without_batch_normalisation_is_not_passed_through():
    dataset = Pictures()
    training_run(compiled_model(), dataset, [BatchNormRecalibration(dataset, 2, (4, 6))])
    assert dataset.reads == 0


def test_batch_normalisation_in_a_model_within_a_model_is_refused():
    image = keras.Input((4, 6, 3))
    outer = keras.Model(image, normalizing_model()(image))
    recalibration = BatchNormRecalibration(Pictures(), 2, (4, 6))
    recalibration.set_model(outer)
    with pytest.raises(ValueError, match="within it"):
        recalibration.recalibrate()


# Averages of weights.


def test_validation_uses_averaged_weights_and_training_does_not():
    dataset = Pictures()
    data = dataset.images.astype("float32"), np.stack(dataset.labels)
    plain, model = normalizing_model(), normalizing_model(use_ema=True, ema_momentum=0.9)
    averages, seen = [], []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            now = [v.numpy() for v in model.trainable_variables]
            averages[:] = [0.9 * a + 0.1 * b for a, b in zip(averages, now, strict=True)] if averages else now

        def on_test_end(self, logs=None):
            seen.append([v.numpy() for v in model.trainable_variables])
            assert_statistics(model, statistics_by_hand(model, dataset.batches(2)))

        def on_epoch_end(self, epoch, logs=None):
            for v, average in zip(seen[-1], averages, strict=True):
                np.testing.assert_allclose(v, average, rtol=1e-5, atol=1e-6)
            with averaged_weights(model):
                for v, average in zip(model.trainable_variables, seen[-1], strict=True):
                    np.testing.assert_array_equal(v.numpy(), average)
            trained.append([v.numpy() for v in model.trainable_variables])

    class Trained(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            expected.append([v.numpy() for v in plain.trainable_variables])

    trained, expected = [], []
    training_run(plain, dataset, [Trained()])
    callbacks = [Look(), WeightAveraging(), BatchNormRecalibration(dataset, 2, (4, 6))]
    training_run(model, dataset, callbacks, validation_data=data)
    assert len(trained) == len(expected) == 3
    for epoch in zip(trained, expected, strict=True):
        for ours, theirs in zip(*epoch, strict=True):
            np.testing.assert_array_equal(ours, theirs)
