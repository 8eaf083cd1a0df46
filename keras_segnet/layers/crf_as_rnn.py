"""A dense CRF as the last layer of a network, trained with it (Zheng et al., arXiv 1502.03240)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops

from keras_segnet.layers.tensor import Tensor

Filter = Callable[[Tensor], Tensor]
"""Function that filters `(batch, height, width, channels)`, each channel by itself, and returns the same shape."""


@keras.saving.register_keras_serializable("keras_segnet")
class CRFasRNN(keras.layers.Layer):
    """The mean field of `keras_segnet.inference.dense_crf`, unrolled, with weights that learn.

    Each iteration filters the class probabilities by a kernel of position and one of position and colour, multiplies
    both by a weight for each class, adds them, and takes what the compatibility matrix makes of that from the logits.
    Kernels are normalised symmetrically, as there. With its first weights the layer computes what `dense_crf` does.

    A filter over the whole image costs time and memory with the square of the number of pixels, so by default messages
    come from a window only (Convolutional CRFs, arXiv 1805.04777) and are exact in it; `reach=None` is the whole image,
    for maps of up to some 5,000 pixels. The authors' layer filters the whole image with an approximation that no
    backend has.

    Args:
        iterations: at inference. Default 10, as the paper.
        training_iterations: in training. Default 5, as the paper.
        reach: rows and columns around a pixel from which messages come. Default 5, a window of 11x11, as the
            authors of Convolutional CRFs; None for the whole image.
        smoothness_weight, smoothness_deviation, appearance_weight, appearance_deviation, colour_deviation: as in
            `dense_crf`. Weights are where training starts; deviations stay.
        classifier_activation: `"softmax"` (default) for probabilities, or None for the logits of the last iteration,
            which a loss with `from_logits=True` learns from even where probabilities are 0 or 1.
        name: of the layer.

    Call arguments:
        logits: float tensor `(batch, height, width, classes)`.
        image: RGB 0..255 `(batch, height, width, 3)`; no gradient goes into it.
        training: whether to iterate `training_iterations` times.

    Returns:
        Tensor of the shape of `logits`, of the layer's compute dtype; inside it computes in float32.

    Raises:
        ValueError: an argument is not one of the above, or logits and image do not go together.

    Attributes:
        smoothness_weights, appearance_weights: `(classes,)`, the kernels' weights.
        compatibility: `(classes, classes)`, the penalty of row's label beside column's; at first the Potts model, 0 for
            equal labels and 1 for others.
    """

    def __init__(
        self,
        iterations: int = 10,
        training_iterations: int = 5,
        reach: int | None = 5,
        smoothness_weight: float = 3.0,
        smoothness_deviation: float = 3.0,
        appearance_weight: float = 10.0,
        appearance_deviation: float = 80.0,
        colour_deviation: float = 13.0,
        classifier_activation: str | None = "softmax",
        name: str | None = "crf_as_rnn",
        **kwargs: Any,
    ) -> None:
        # Out of the class's name Keras would make "cr_fas_rnn". Inputs are cast here, to float32.
        super().__init__(name=name, autocast=False, **kwargs)
        counts = {"iterations": iterations, "training_iterations": training_iterations, "reach": reach}
        for name, count in counts.items():
            if not (isinstance(count, int) and count > 0) and not (name == "reach" and count is None):
                raise ValueError(f"{name} must be a positive int{' or None' * (name == 'reach')}, not {count!r}.")
        deviations = {
            "smoothness_deviation": smoothness_deviation,
            "appearance_deviation": appearance_deviation,
            "colour_deviation": colour_deviation,
        }
        for name, deviation in deviations.items():
            if not 0 < deviation < math.inf:
                raise ValueError(f"{name} must be a finite number above 0, not {deviation!r}.")
        if classifier_activation not in ("softmax", None):
            raise ValueError(f"classifier_activation must be 'softmax' or None, not {classifier_activation!r}.")
        self.iterations, self.training_iterations, self.reach = iterations, training_iterations, reach
        self.smoothness_weight, self.smoothness_deviation = smoothness_weight, smoothness_deviation
        self.appearance_weight, self.appearance_deviation = appearance_weight, appearance_deviation
        self.colour_deviation = colour_deviation
        self.classifier_activation = classifier_activation

    def build(self, logits_shape: tuple[int | None, ...], image_shape: tuple[int | None, ...]) -> None:
        self._check(logits_shape, image_shape)
        classes = logits_shape[-1]
        constant = keras.initializers.Constant
        self.smoothness_weights = self.add_weight(
            name="smoothness_weights", shape=(classes,), initializer=constant(self.smoothness_weight)
        )
        self.appearance_weights = self.add_weight(
            name="appearance_weights", shape=(classes,), initializer=constant(self.appearance_weight)
        )
        self.compatibility = self.add_weight(
            name="compatibility",
            shape=(classes, classes),
            initializer=lambda shape, dtype: 1 - ops.eye(shape[0], dtype=dtype),
        )

    def call(self, logits: Tensor, image: Tensor, training: bool | None = None) -> Tensor:
        self._check(logits.shape, image.shape)
        unary = ops.cast(logits, "float32")
        colours = ops.stop_gradient(ops.cast(image, "float32")) / self.colour_deviation
        height, width = ops.shape(unary)[1:3]
        position = _position_filter(height, width, self.smoothness_deviation, self.reach)
        if self.reach is None:
            position_and_colour = _whole_image_filter(colours, self.appearance_deviation)
        else:
            position_and_colour = _window_filter(colours, self.appearance_deviation, self.reach)
        ones = ops.ones_like(colours[..., :1])
        messages = (
            (self.smoothness_weights, _normalized(position, ones)),
            (self.appearance_weights, _normalized(position_and_colour, ones)),
        )
        scores = unary
        for _ in range(self.training_iterations if training else self.iterations):
            marginals = ops.softmax(scores, axis=-1)
            message = sum(weights * kernel(marginals) for weights, kernel in messages)
            scores = unary - ops.matmul(message, ops.transpose(self.compatibility))
        if self.classifier_activation == "softmax":
            scores = ops.softmax(scores, axis=-1)
        return ops.cast(scores, self.compute_dtype)

    def compute_output_shape(
        self, logits_shape: tuple[int | None, ...], image_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return logits_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "iterations": self.iterations,
            "training_iterations": self.training_iterations,
            "reach": self.reach,
            "smoothness_weight": self.smoothness_weight,
            "smoothness_deviation": self.smoothness_deviation,
            "appearance_weight": self.appearance_weight,
            "appearance_deviation": self.appearance_deviation,
            "colour_deviation": self.colour_deviation,
            "classifier_activation": self.classifier_activation,
        }

    def _check(self, logits_shape: tuple[int | None, ...], image_shape: tuple[int | None, ...]) -> None:
        fit = len(logits_shape) == len(image_shape) == 4 and image_shape[3] == 3
        pairs = zip(logits_shape[:3], image_shape[:3], strict=False)
        if not fit or any(a != b and None not in (a, b) for a, b in pairs):
            raise ValueError(
                f"{self.name} takes logits (batch, height, width, classes) and an image (batch, height, width, 3) of "
                f"the same height and width; their shapes are {tuple(logits_shape)} and {tuple(image_shape)}."
            )


def _normalized(kernel: Filter, ones: Tensor) -> Filter:
    """The kernel over the roots of its sums at both ends."""
    roots = ops.rsqrt(kernel(ones))
    return lambda values: roots * kernel(roots * values)


def _position_filter(height: Any, width: Any, deviation: float, reach: int | None) -> Filter:
    """Sums of `exp(-|p_i - p_j|^2 / (2 deviation^2))` over the window, one axis after the other."""

    def along_axis(size: Any) -> Tensor:
        places = ops.arange(size, dtype="float32")
        distances = ops.abs(places[:, None] - places)
        kernel = ops.exp(-0.5 * ops.square(distances / deviation))
        return kernel if reach is None else ops.where(distances <= reach, kernel, 0.0)

    rows, columns = along_axis(height), along_axis(width)
    return lambda values: ops.einsum("yr,xc,brcn->byxn", rows, columns, values)


def _whole_image_filter(colours: Tensor, deviation: float) -> Filter:
    """Sums of `exp(-|p_i - p_j|^2 / (2 deviation^2) - |c_i - c_j|^2 / 2)` over the whole image.

    Args:
        colours: `(batch, height, width, 3)`, in units of their deviation.
        deviation: of position, pixels.
    """
    _, height, width, _ = ops.shape(colours)
    rows, columns = ops.meshgrid(
        ops.arange(height, dtype="float32") / deviation, ops.arange(width, dtype="float32") / deviation, indexing="ij"
    )
    features = [ops.reshape(rows, (1, -1)), ops.reshape(columns, (1, -1))]
    features += [ops.reshape(colours[..., channel], (-1, height * width)) for channel in range(3)]
    kernel = ops.exp(-0.5 * sum(ops.square(feature[:, :, None] - feature[:, None, :]) for feature in features))

    def apply(values: Tensor) -> Tensor:
        channels = values.shape[-1]
        filtered = ops.matmul(kernel, ops.reshape(values, (-1, height * width, channels)))
        return ops.reshape(filtered, (-1, height, width, channels))

    return apply


def _window_filter(colours: Tensor, deviation: float, reach: int) -> Filter:
    """The sums of `_whole_image_filter` over a window of `2 reach + 1` rows and columns around each pixel."""
    _, height, width, _ = ops.shape(colours)
    offsets = [(row, column) for row in range(-reach, reach + 1) for column in range(-reach, reach + 1)]

    def neighbours(x: Tensor) -> Iterator[Tensor]:
        """For each offset what lies there, and 0 beyond the image."""
        padded = ops.pad(x, [[0, 0], [reach, reach], [reach, reach], [0, 0]])
        for row, column in offsets:
            yield padded[:, reach + row : reach + row + height, reach + column : reach + column + width]

    kernels = [
        ops.exp(-0.5 * (ops.sum(ops.square(colours - neighbour), axis=-1, keepdims=True) + near / deviation**2))
        for neighbour, near in zip(neighbours(colours), (row**2 + column**2 for row, column in offsets), strict=True)
    ]
    return lambda values: sum(kernel * there for kernel, there in zip(kernels, neighbours(values), strict=True))
