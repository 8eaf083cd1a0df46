"""The registry: every network by its name, and what is published about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from keras_segnet.models.segnet import build_segnet
from keras_segnet.models.segnet_basic import build_segnet_basic


@dataclass(frozen=True)
class Network:
    """A network that can be built, trained and exported by its name.

    Whatever is registered is listed by `keras-segnet models` and inherits tests/models/test_every_network.py.

    Attributes:
        name: what the registry, the command line and the model itself call it.
        build: its function, `build(num_classes=11, input_shape=(360, 480, 3), *, width=1.0, ...)`; options that all of
            them take are `width`, `classifier_activation`, `preprocessing`, `dropout` and `name`.
        summary: what it is, in one line.
        source: where it is described: paper and table, prototxt.
        published_parameters: in millions for 11 classes, None where the source gives none.
    """

    name: str
    build: Callable[..., keras.Model]
    summary: str
    source: str
    published_parameters: float | None = None

    @property
    def takes_weights(self) -> bool:
        """Whether its encoder can start from VGG16 (`weights="imagenet"` or the path of an .npz)."""
        return "weights" in inspect.signature(self.build).parameters


NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network(
            "segnet",
            build_segnet,
            "the 13 convolutions of VGG16, their mirror, and pooling indices between them",
            "SegNet, section 3 and Table 6 (117 MB); segnet_train.prototxt",
            published_parameters=29.45,
        ),
        Network(
            "segnet_basic",
            build_segnet_basic,
            "four encoders and four decoders of one 7x7 convolution each",
            "SegNet, Table 1; segnet_basic_train.prototxt",
            published_parameters=1.425,
        ),
    )
}
"""Every network by its name: the paper's own first, then its rivals."""


def build(
    name: str, num_classes: int = 11, input_shape: tuple[int | None, int | None, int] = (360, 480, 3), **options: Any
) -> keras.Model:
    """Builds the network that the registry has under `name`, with the options that its own function takes.

    Raises:
        ValueError: no network has that name, or an option does not suit it.
        TypeError: the network's function has no such option.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}; there are {', '.join(NETWORKS)}.")
    return NETWORKS[name].build(num_classes, input_shape, **options)


__all__ = ["NETWORKS", "Network", "build"]
