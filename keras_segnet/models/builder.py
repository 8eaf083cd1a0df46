"""The public function of a network, made of its wiring: the arguments that all networks share, checked once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import keras

from keras_segnet.models import blocks
from keras_segnet.models.starting_weights import Encoder, Weights, accepted, starting_weights

ARGUMENTS = """\
    num_classes: number of classes, without an ignored one: 2 to 255, because labels and masks are uint8 and 255 marks
        ignored pixels. Default 11, CamVid's.
    input_shape: `(height, width, 3)`; None for a height or width that varies. Default: the paper's 360x480.
    width: factor on all channel counts but those of the scores. Default 1.0.
    weights: initial weights: None (default) for He initialisation, or {weights}; see
        `keras_segnet.models.starting_weights`. Scores start anew where `num_classes` differs.
    classifier_activation: `"softmax"` (default); None or `"linear"` for logits.
    preprocessing: input normalisation inside the model: `"imagenet"` (minus the mean, over the standard deviation),
        `"lrn"` (local response normalisation, as released), `"lcn"` (local contrast normalisation, as the paper says)
        or None (raw colours). Default {preprocessing!r}.
    name: name of the model. Default {name!r}.

Returns:
    A `keras.Model` from RGB 0..255 `(batch, height, width, 3)`, uint8 or float, any height and width, to float32
    `(batch, height, width, num_classes)`.

Raises:
    InputError: an argument is not one of the above, or the weights do not fit the network.
    FileNotFoundError: there is no file at `weights`."""


class Builder(Protocol):
    """Function that builds a network; `options` are those of the network alone."""

    def __call__(
        self,
        num_classes: int = 11,
        input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
        *,
        width: float = 1.0,
        weights: Weights = None,
        classifier_activation: str | None = "softmax",
        preprocessing: str | None = ...,
        name: str = ...,
        **options: Any,
    ) -> keras.Model: ...


def make_builder(
    wiring: Callable[..., Any], network: str, preprocessing: str | None, encoder: Encoder | None, doc: str | None
) -> Builder:
    """The function `build_NETWORK` of a wiring, with a signature and a docstring that name all arguments.

    For the arguments see `keras_segnet.models.registry.network`.
    """
    own = [p for p in inspect.signature(wiring).parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    defaults = {"width": 1.0, "preprocessing": preprocessing, **{p.name: p.default for p in own}}

    def build(
        num_classes: int = 11,
        input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
        *,
        width: float = 1.0,
        weights: Weights = None,
        classifier_activation: str | None = "softmax",
        preprocessing: str | None = preprocessing,
        name: str = network,
        **options: Any,
    ) -> keras.Model:
        blocks.check_common(num_classes, width, options.get("dropout", 0.0), classifier_activation)
        chosen = {"width": width, "preprocessing": preprocessing, **options}
        start = starting_weights(network, encoder, weights, chosen, defaults)
        image = blocks.image_input(input_shape)
        scores = wiring(blocks.normalize_colours(image, preprocessing), num_classes, width, **options)
        model = keras.Model(image, blocks.probabilities(scores, classifier_activation), name=name)
        start(model)
        return model

    signature = inspect.signature(build)
    *shared, last, _ = signature.parameters.values()
    build.__signature__ = signature.replace(parameters=[*shared, *own, last])  # type: ignore[attr-defined]
    build.__name__ = build.__qualname__ = f"build_{network}"
    about, _, options = inspect.cleandoc(doc or getattr(wiring, "func", wiring).__doc__ or "").partition("\n\nArgs:\n")
    described = ARGUMENTS.format(weights=accepted(network, encoder), preprocessing=preprocessing, name=network)
    build.__doc__ = "\n".join([about, "", "Args:", *options.splitlines(), described])
    return build


__all__ = ["Builder", "make_builder"]
