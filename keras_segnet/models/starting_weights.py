"""What `weights=` of a network means: names and paths, resolved here for all networks and for `keras-segnet train`.

| `weights=` | sets |
|---|---|
| None | nothing: He initialisation |
| `"camvid"` | all layers, to weights that come with the package: docs/weights/ |
| `"imagenet"` | the encoder, to a classifier trained on ImageNet that Keras downloads |
| the path of an .npz | the encoder, to the 13 convolutions of VGG16: `keras_segnet.models.vgg16` |
| the path of a .keras file | all layers, to those of the same network trained before |
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from keras_segnet.catalogue import trained_on
from keras_segnet.errors import InputError
from keras_segnet.models.trained import load_trained, read_keras_file, start_from

Weights = str | os.PathLike[str] | None


@dataclass(frozen=True)
class Encoder:
    """A classifier trained on ImageNet from which an encoder can start.

    Attributes:
        name: of the classifier.
        download: sets the encoder of a model to Keras's weights.
        read: sets it to those of an .npz; None where there is no such file.
    """

    name: str
    download: Callable[[keras.Model], None]
    read: Callable[..., None] | None = None


def accepted(network: str, encoder: Encoder | None) -> str:
    """What `weights=` of a network can be beside None, in words."""
    names = [repr(data) for data in trained_on(network)]
    if encoder is not None:
        names.append("'imagenet'")
    if encoder is not None and encoder.read is not None:
        names.append(f"the path of an .npz of {encoder.name}")
    return " or ".join([*names, "the path of a .keras file of this network"])


def starting_weights(
    network: str, encoder: Encoder | None, weights: Weights, chosen: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Callable[[keras.Model], None]:
    """Resolves `weights=`: returns what gives a model of the network its initial weights.

    Args:
        network: its name in the registry.
        encoder: that it can start from.
        weights: see the module.
        chosen: width, preprocessing and the network's own options, as it is to be built.
        defaults: of the same, as trained weights need them.

    Raises:
        InputError: the network has no such weights, or a network built so cannot take them. What the model is given
            later raises the same where a file does not fit.
    """
    if weights is None:
        return lambda model: None
    path = Path(weights)
    if path.suffix == ".keras":
        return lambda model: start_from(model, read_keras_file(path), str(path))
    if str(weights) in trained_on(network):
        _require(weights, chosen, {name: value for name, value in defaults.items() if name != "dropout"})
        return lambda model: load_trained(model, network, str(weights))
    of_encoder = {name: defaults[name] for name in ("width", "preprocessing")}
    if encoder is not None and str(weights) == "imagenet":
        _require(weights, chosen, of_encoder)
        return encoder.download
    if encoder is not None and encoder.read is not None and path.suffix == ".npz":
        _require(weights, chosen, of_encoder)
        return functools.partial(encoder.read, weights=path)
    raise InputError(f"`weights` of {network} must be None or {accepted(network, encoder)}; not {str(weights)!r}.")


def _require(weights: Weights, chosen: Mapping[str, Any], needed: Mapping[str, Any]) -> None:
    for name, value in needed.items():
        if chosen.get(name, value) != value:
            raise InputError(f"`weights` {str(weights)!r} need `{name}` {value!r}, not {chosen[name]!r}.")


__all__ = ["Encoder", "Weights", "accepted", "starting_weights"]
