"""The registry: every network by its name, and what is published about it.

A network is a function of one file of this folder, from normalised colours to scores:

    @network(source="arXiv 1505.04597, figure 1", summary="five levels whose whole maps the decoder concatenates")
    def unet(x, num_classes, width, *, dropout=0.5):

`@network` registers the public function that it makes of this, `build_unet(num_classes=11, input_shape=(360, 480, 3),
*, width=1.0, ...)`. `keras_segnet.models` imports every module of its folder and exports all these functions, so a new
network is one new file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import keras

from keras_segnet import catalogue
from keras_segnet.errors import refuse_unknown
from keras_segnet.models.builder import make_builder
from keras_segnet.models.starting_weights import Encoder

Wiring = TypeVar("Wiring", bound=Callable[..., Any])


@dataclass(frozen=True)
class Network:
    """A network that can be built, trained and exported by its name.

    Whatever is registered is listed by `keras-segnet models` and inherits tests/models/test_every_network.py.

    Attributes:
        name: what the registry, the command line and the model itself call it.
        build: its function.
        summary: what it is, in one line.
        source: where it is described: paper and table, prototxt.
        published_parameters: in millions for 11 classes, as the table gives it or at four bytes each; None where the
            source gives none.
        encoder: the classifier trained on ImageNet that its encoder can start from, or None.
    """

    name: str
    build: Callable[..., keras.Model]
    summary: str
    source: str
    published_parameters: float | None = None
    encoder: Encoder | None = None

    @property
    def trained_on(self) -> list[str]:
        """Data sets of which the package has its trained weights: `weights="camvid"`."""
        return catalogue.trained_on(self.name)


NETWORKS: dict[str, Network] = {}
"""Every network by its name, in the order of registration."""


def network(
    *,
    source: str,
    summary: str,
    published: float | None = None,
    preprocessing: str | None = "imagenet",
    encoder: Encoder | None = None,
    name: str | None = None,
    doc: str | None = None,
) -> Callable[[Wiring], Wiring]:
    """Registers a wiring as a network, and leaves the wiring as it is.

    The wiring accepts normalised colours, `num_classes` and `width`, and keyword-only options of its own; it returns
    the scores. An option `dropout` is checked to be a rate. A variant is a wiring under `functools.partial`.

    Args:
        source, summary, published, encoder: as in `Network`.
        preprocessing: default of the network.
        name: of the network. Default: that of the wiring.
        doc: what the network is. Default: the docstring of the wiring; options are described there under "Args:".
    """

    def register(wiring: Wiring) -> Wiring:
        registered = name or wiring.__name__
        build = make_builder(wiring, registered, preprocessing, encoder, doc)
        if registered not in catalogue.networks():
            catalogue.networks().append(registered)
        NETWORKS[registered] = Network(registered, build, summary, source, published, encoder)
        return wiring

    return register


def build(
    name: str, num_classes: int = 11, input_shape: tuple[int | None, int | None, int] = (360, 480, 3), **options: Any
) -> keras.Model:
    """Builds the network that the registry has under `name`, with the options that its own function takes.

    Raises:
        InputError: no network has that name, or an option does not suit it.
        TypeError: the network's function has no such option.
    """
    refuse_unknown("name", name, NETWORKS)
    return NETWORKS[name].build(num_classes, input_shape, **options)


__all__ = ["NETWORKS", "Network", "build", "network"]
