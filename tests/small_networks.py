"""The registered networks, narrow enough to be built and trained in a moment."""

from __future__ import annotations

import functools
from typing import Any

import keras

from keras_segnet.models import NETWORKS, build
from keras_segnet.models.graph import summarize_network


@functools.cache
def narrow(name: str) -> float:
    """Width at which a network is built in tests: an eighth, or a sixteenth of those above 10 million parameters."""
    return 1 / 8 if summarize_network(NETWORKS[name]).parameters < 10e6 else 1 / 16


def small(
    name: str, num_classes: int = 4, input_shape: tuple[int | None, int | None, int] = (24, 32, 3), **options: Any
) -> keras.Model:
    """Builds a network narrow."""
    return build(name, num_classes, input_shape, **{"width": narrow(name), **options})


__all__ = ["NETWORKS", "small"]
