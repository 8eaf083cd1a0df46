"""Trains on images in files, read by our pipeline, by a plain tf.data pipeline or by a Keras PyDataset."""

import math
import os
import time

import keras
import numpy as np
import tensorflow as tf
from timing import answer, task

import keras_segnet
from keras_segnet.data import Augmentation, FileDataset, open_dataset, training_batches
from keras_segnet.data.pipeline import Augment

AUGMENTATION = Augmentation()


def ours(dataset, batch, size):
    return training_batches(dataset, batch, size, AUGMENTATION)


def ours_decoding(dataset, batch, size):
    return training_batches(dataset, batch, size, AUGMENTATION, memory=0)


def with_tf_data(dataset, batch, size, keep=False):
    """The same changes written with tf.image, as the guides do it."""
    low, high = (math.log(factor) for factor in AUGMENTATION.scale)
    strength = AUGMENTATION.colour

    def read(image_path, label_path):
        image = tf.io.decode_png(tf.io.read_file(image_path), channels=3)
        return image, tf.io.decode_png(tf.io.read_file(label_path), channels=1)

    def augment(image, label):
        factor = tf.exp(tf.random.uniform([], low, high))
        scaled = tf.cast(tf.round(tf.constant(size, tf.float32) * factor), tf.int32)
        image = tf.image.resize(image, scaled, antialias=True)
        label = tf.image.resize(label, scaled, method="nearest") + 1  # Beyond the image is 0 then.
        target = tf.maximum(scaled, size)
        image = tf.image.pad_to_bounding_box(image, 0, 0, target[0], target[1])
        label = tf.cast(tf.image.pad_to_bounding_box(label, 0, 0, target[0], target[1]), tf.float32)
        both = tf.image.random_crop(tf.concat([image, label], axis=-1), (*size, 4))
        both = tf.image.random_flip_left_right(both)
        image, label = both[..., :3], tf.cast(both[..., 3], tf.uint8)
        brightness, contrast, saturation = tf.unstack(tf.random.uniform([3], 1 - strength, 1 + strength))
        image = tf.image.adjust_contrast(tf.image.adjust_saturation(image, saturation), contrast) * brightness
        return tf.cast(tf.clip_by_value(tf.round(image), 0, 255), tf.uint8), tf.where(
            label == 0, tf.constant(11, tf.uint8), label - 1
        )

    images, labels = ([str(path) for path in paths] for paths in zip(*dataset.pairs, strict=True))
    files = tf.data.Dataset.from_tensor_slices((images, labels))
    if keep:
        examples = files.map(read, num_parallel_calls=tf.data.AUTOTUNE).cache().shuffle(len(images), seed=0)
    else:
        examples = files.shuffle(len(images), seed=0).map(read, num_parallel_calls=tf.data.AUTOTUNE)
    return examples.map(augment, num_parallel_calls=tf.data.AUTOTUNE).batch(batch).prefetch(tf.data.AUTOTUNE)


def with_tf_data_cached(dataset, batch, size):
    return with_tf_data(dataset, batch, size, keep=True)


class Sequence(keras.utils.PyDataset):
    """Our own reading and augmentation, handed to Keras batch by batch."""

    def __init__(self, dataset, batch, size):
        super().__init__(workers=os.cpu_count())
        self.dataset, self.batch, self.size = dataset, batch, size
        self.augment = Augment(AUGMENTATION, size, 11)

    def __len__(self):
        return -(-len(self.dataset) // self.batch)

    def __getitem__(self, index):
        random = np.random.default_rng(index)
        chosen = range(index * self.batch, min(len(self.dataset), (index + 1) * self.batch))
        images, labels = zip(*(self.augment.random_map(self.dataset[i], random) for i in chosen), strict=True)
        return np.stack(images), np.stack(labels)


def in_memory(dataset, batch, size):
    """One batch again and again: what there is to gain."""
    images, labels = next(iter(Sequence(dataset, batch, size)))
    return tf.data.Dataset.from_tensors((images, labels)).repeat(-(-len(dataset) // batch))


IMPLEMENTATIONS = {
    "ours": ours,
    "ours, decoding each time": ours_decoding,
    "tf.data": with_tf_data,
    "tf.data, cache()": with_tf_data_cached,
    "PyDataset": Sequence,
    "one batch, in memory": in_memory,
}


class Metered(keras.Model):
    """Counts how long each step waits for its batch."""

    waited = 0.0

    def make_train_function(self, force=False):
        if self.train_function is not None:
            return
        step = tf.function(self.train_step)

        def function(iterator):
            start = time.perf_counter()
            batch = next(iterator)
            self.waited += time.perf_counter() - start
            return step(batch)

        self.train_function = function


class Nothing(Metered):
    """Takes batches and does nothing with them."""

    def train_step(self, data):
        return {"pixel": tf.cast(data[0][0, 0, 0, 0], tf.float32)}


def reading(implementation, data, images, batch, size, width, epochs):
    full = open_dataset(data, "train")
    dataset = FileDataset(full.name, full.classes, full.pairs[:images], full.coding)
    size = tuple(size)
    if width == 0:
        inputs = keras.Input((*size, 3))
        model = Nothing(inputs, keras.layers.Flatten()(inputs))
        model.compile()
    else:
        network = keras_segnet.build_segnet(len(dataset.classes), (*size, 3), width=width)
        model = Metered(network.inputs, network.outputs)
        model.compile(
            "adamw",
            keras_segnet.losses.WeightedCrossentropy(len(dataset.classes), ignore_class=dataset.classes.ignored),
        )
    batches = IMPLEMENTATIONS[implementation](dataset, batch, size)
    model.fit(batches, epochs=1, verbose=0)  # Traces, and warms the files up.
    steps = -(-len(dataset) // batch)
    taken, waited = [], []
    for _ in range(epochs):
        model.waited = 0.0
        start = time.perf_counter()
        model.fit(batches, epochs=1, verbose=0)
        taken.append(time.perf_counter() - start)
        waited.append(model.waited)
    return {
        "images a second": [steps * batch / seconds for seconds in taken],
        "step, ms": [1e3 * seconds / steps for seconds in taken],
        "waiting, ms": [1e3 * seconds / steps for seconds in waited],
    }


if __name__ == "__main__":
    answer(**reading(**task()))
