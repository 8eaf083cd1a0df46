import keras
import numpy as np
import pytest

from keras_segnet.data import camvid
from keras_segnet.data.dataset import Classes, Example, SegmentationDataset
from keras_segnet.data.statistics import ClassStatistics, count_classes, median_frequency_weights
from keras_segnet.errors import InputError
from keras_segnet.training.callbacks import MedianFrequencyBalancing
from keras_segnet.training.losses import WeightedCrossentropy

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
    with pytest.raises(InputError, match="definition must be one of presence, presence_with_ignored, global"):
        MedianFrequencyBalancing(Arrays(LABELS), "median")
    with pytest.raises(InputError, match="balancing must be one of presence, presence_with_ignored, global"):
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
