"""Runs a task with tensorflow-addons' MaxUnpooling2D, in the last environment that imports it."""

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa
from timing import answer, clock, task


def pooling(size, batch, channels, repeats):
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(batch, *size, channels)).astype("float32"))
    upstream = tf.constant(random.normal(size=x.shape).astype("float32"))
    unpool = tfa.layers.MaxUnpooling2D()

    @tf.function
    def forward(x):
        return unpool(*tf.nn.max_pool_with_argmax(x, 2, 2, "SAME"))

    @tf.function
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = forward(x)
        # Of an output that nobody takes, TensorFlow would leave out the work.
        return y, tape.gradient(y, x, upstream)

    return {
        "forward": clock(lambda: forward(x).numpy(), repeats),
        "forward and backward": clock(lambda: [tensor.numpy() for tensor in both(x)], repeats),
    }


if __name__ == "__main__":
    given = task()
    answer(**{"pooling": pooling}[given.pop("task")](**given))
