"""Writes what tensorflow-addons' own MaxUnpooling2D answers, and files that name it, beside this script.

Run where the old layer runs (Python 3.11 at most):

    python3.11 -m venv addons && addons/bin/pip install "tensorflow==2.15.1" "tensorflow-addons==0.23.0" "numpy<2"
    addons/bin/python tests/layers/addons/make_vectors.py
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

HERE = Path(__file__).parent
CASES = {
    # name: (size, pool_size, strides, padding, dtype of the mask)
    "default": ((4, 6), (2, 2), (2, 2), "SAME", "int64"),
    "int32": ((4, 6), (2, 2), (2, 2), "SAME", "int32"),
    "three": ((6, 9), (3, 3), (3, 3), "SAME", "int64"),
    "oblong": ((6, 8), (3, 2), (3, 2), "SAME", "int64"),
    "valid": ((6, 4), (2, 2), (2, 2), "VALID", "int64"),
    "one": ((2, 2), (2, 2), (2, 2), "SAME", "int64"),
    "strides_below_pool_size": ((4, 6), (3, 3), (2, 2), "SAME", "int64"),
    "valid_strides_below_pool_size": ((7, 5), (3, 3), (2, 2), "VALID", "int64"),
}


class MaxPoolingWithArgmax2D(tf.keras.layers.Layer):
    """The layer that users of the old one wrote themselves."""

    def call(self, inputs):
        return tf.nn.max_pool_with_argmax(inputs, 2, 2, "SAME")


def answers(size, pool_size, strides, padding, mask_dtype):
    random = np.random.default_rng(0)
    # Of few values, so that there are ties.
    x = random.integers(-3, 4, (2, *size, 3)).astype("float32")
    _, mask = tf.nn.max_pool_with_argmax(x, pool_size, strides, padding, output_dtype=mask_dtype)
    updates = tf.constant(random.normal(size=mask.shape).astype("float32"))
    layer = tfa.layers.MaxUnpooling2D(pool_size, strides, padding)
    with tf.GradientTape() as tape:
        tape.watch(updates)
        unpooled = layer(updates, mask)
    upstream = random.normal(size=unpooled.shape).astype("float32")
    gradient = tape.gradient(unpooled, updates, upstream)
    return {
        "x": x,
        "mask": mask.numpy(),
        "updates": updates.numpy(),
        "unpooled": unpooled.numpy(),
        "upstream": upstream,
        "gradient": gradient.numpy(),
    }


def model(pool):
    image = tf.keras.Input((8, 12, 3), name="image")
    x = tf.keras.layers.Conv2D(4, 3, padding="same", name="encoder")(image)
    x = tf.keras.layers.BatchNormalization(gamma_initializer="uniform", moving_mean_initializer="uniform")(x)
    x = tf.keras.layers.ReLU()(x)
    pooled, mask = pool(x)
    x = tf.keras.layers.Conv2D(4, 3, padding="same", name="middle")(pooled)
    x = tfa.layers.MaxUnpooling2D(name="unpool")(x, mask)
    return tf.keras.Model(image, tf.keras.layers.Conv2D(2, 3, padding="same", name="decoder")(x))


def main():
    vectors = {f"{name}/{key}": value for name, case in CASES.items() for key, value in answers(*case).items()}
    vectors["model/image"] = np.random.default_rng(1).normal(size=(2, 8, 12, 3)).astype("float32")
    tf.keras.utils.set_random_seed(0)
    direct = model(lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "SAME"))
    vectors["model/output"] = direct(vectors["model/image"]).numpy()
    direct.save(HERE / "direct.h5")
    direct.save(HERE / "direct.keras")
    direct.save(HERE / "saved_model")
    own_layer = model(MaxPoolingWithArgmax2D(name="pool"))
    own_layer.set_weights(direct.get_weights())
    own_layer.save(HERE / "own_layer.h5")
    np.savez_compressed(HERE / "vectors.npz", **vectors)
    settings = {name: {"pool_size": case[1], "strides": case[2], "padding": case[3]} for name, case in CASES.items()}
    (HERE / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    main()
