"""Runs a task with Keras 3: our layers, or others in their place."""

import resource

import keras
import numpy as np
from keras import layers, ops
from timing import answer, clock, task

import keras_segnet
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models.graph import summarize

TENSORFLOW = keras.backend.backend() == "tensorflow"


class PlainPooling(layers.Layer):
    """Max pooling whose indices are nothing."""

    def call(self, x):
        pooled = ops.max_pool(x, 2, 2, "same")
        return pooled, pooled


class NearestUpsampling(layers.Layer):
    """Repeats each value over its window and asks nothing of the indices: the limit."""

    def call(self, updates, indices, like=None):
        return _cut(ops.repeat(ops.repeat(updates, 2, axis=1), 2, axis=2), like)


class Concatenation(layers.Layer):
    """A U-Net's way: the encoder's whole map beside the repeated values."""

    def call(self, updates, indices, like=None):
        return ops.concatenate([_cut(ops.repeat(ops.repeat(updates, 2, axis=1), 2, axis=2), like), like], axis=-1)


def _cut(x, like):
    return x if like is None or x.shape[1:3] == like.shape[1:3] else x[:, : like.shape[1], : like.shape[2]]


class ArgmaxPooling(layers.Layer):
    """TensorFlow's op, as everyone uses it."""

    def call(self, x):
        import tensorflow as tf

        return tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")


class ScatterUnpooling(layers.Layer):
    """The layer that most Keras SegNets carry: positions taken apart into four columns, then `tf.scatter_nd`."""

    def call(self, updates, indices, like=None):
        import tensorflow as tf

        batch, height, width, channels = ops.shape(updates)
        height, width = (2 * height, 2 * width) if like is None else ops.shape(like)[1:3]
        ones = tf.ones_like(indices)
        image = tf.reshape(tf.range(tf.cast(batch, "int64"), dtype="int64"), (-1, 1, 1, 1)) * ones
        row, column = indices // (width * channels), indices // channels % width
        channel = ones * tf.range(channels, dtype="int64")
        places = tf.reshape(tf.stack([image, row, column, channel], axis=-1), (-1, 4))
        shape = tf.stack([tf.cast(batch, "int64"), height, width, channels])
        return tf.reshape(tf.scatter_nd(places, tf.reshape(updates, [-1]), shape), (-1, height, width, channels))


IMPLEMENTATIONS = {
    "ours": (MaxPoolingWithArgmax2D, MaxUnpooling2D),
    "scatter_nd": (ArgmaxPooling, ScatterUnpooling),
    "none": (PlainPooling, NearestUpsampling),
    "unet": (PlainPooling, Concatenation),
}


def pooling(implementation, size, batch, channels, repeats, jit_compile=False):
    import tensorflow as tf

    pool, unpool = (layer() for layer in IMPLEMENTATIONS[implementation])
    random = np.random.default_rng(0)
    x = tf.constant(random.normal(size=(batch, *size, channels)).astype("float32"))
    upstream = tf.constant(random.normal(size=x.shape).astype("float32"))

    def forward(x):
        pooled, indices = pool(x)
        return unpool(pooled, indices)

    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = forward(x)
        # Of an output that nobody takes, TensorFlow would leave out the work.
        return y, tape.gradient(y, x, upstream)

    forward, both = (tf.function(function, jit_compile=jit_compile) for function in (forward, both))
    return {
        "forward": clock(lambda: forward(x).numpy(), repeats),
        "forward and backward": clock(lambda: [tensor.numpy() for tensor in both(x)], repeats),
    }


def build(network, implementation, size, width=1.0):
    """A network of ours with other layers in place of pooling and unpooling."""
    model = keras_segnet.build(network, 11, (*size, 3), width=width)
    if implementation == "ours":
        return model
    pool, unpool = IMPLEMENTATIONS[implementation]

    def clone(layer):
        if isinstance(layer, MaxPoolingWithArgmax2D):
            return pool(name=layer.name)
        if isinstance(layer, MaxUnpooling2D):
            return unpool(name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone)


def network(network, implementation, size, batch, repeats, width=1.0, jit_compile="auto", precision="float32"):
    keras.config.set_dtype_policy(precision)
    model = build(network, implementation, size, width)
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (batch, *size, 3)).astype("float32")
    y = random.integers(0, 11, (batch, *size)).astype("int32")
    model.compile(
        optimizer=keras.optimizers.SGD(1e-3),
        loss=keras_segnet.losses.WeightedCrossentropy(11),
        jit_compile=jit_compile,
    )
    return {
        "predict": clock(lambda: model.predict_on_batch(x), repeats),
        "train step": clock(lambda: float(model.train_on_batch(x, y)), repeats),
        "multiply-adds": [batch * summarize(model).multiply_adds],
    }


def memory(network, implementation, size, batch, width=1.0):
    model = build(network, implementation, size, width)
    x = np.zeros((batch, *size, 3), "float32")
    model.predict_on_batch(x[:1])  # Traces, and makes room for the weights.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.predict_on_batch(x)
    return {"peak": [(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024]}


def footprint(network, size, batch, training, width=1.0, precision="float32", parts=1):
    """Megabytes that a network takes at most, its weights included, in a prediction or in training; and its size.

    A training step takes its batch in `parts`, whose gradients it accumulates.
    """
    keras.config.set_dtype_policy(precision)
    x = np.zeros((batch // parts, *size, 3), "float32")
    y = np.zeros((batch // parts, *size), "int32")

    def compiled(width):
        model = build(network, "ours", size, width)
        accumulated = {"gradient_accumulation_steps": parts} if parts > 1 else {}
        optimizer = keras.optimizers.SGD(1e-3, momentum=0.9, **accumulated)
        model.compile(optimizer=optimizer, loss=keras_segnet.losses.WeightedCrossentropy(11))
        return model

    def run(model):
        if training:
            # The second one has everything in place that the first one makes.
            for _ in range(2 * parts):
                model.train_on_batch(x, y)
        else:
            model.predict_on_batch(x)

    on_gpu = keras.backend.backend() == "jax" and _jax_device().platform == "gpu"
    if not on_gpu:
        run(compiled(1 / 64))  # What the runtime takes by itself does not count.
    before = 0 if on_gpu else _resident("VmRSS")
    model = compiled(width)
    if not on_gpu:
        _forget_peak()
    run(model)
    peak = _jax_device().memory_stats()["peak_bytes_in_use"] if on_gpu else _resident("VmHWM")
    return {"memory": [(peak - before) / 1e6], "model": [4 * model.count_params() / 1e6]}


def _jax_device():
    import jax

    return jax.local_devices()[0]


def _resident(which):
    """Bytes of memory that this process holds (VmRSS) or held at most (VmHWM), as Linux has them."""
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(f"{which}:"))


def _forget_peak():
    """Lets VmHWM start anew: initial weights are drawn in more memory than they need later."""
    with open("/proc/self/clear_refs", "w") as clear_refs:
        clear_refs.write("5")


TASKS = {"pooling": pooling, "network": network, "memory": memory, "footprint": footprint}

if __name__ == "__main__":
    given = task()
    answer(**TASKS[given.pop("task")](**given))
