"""The networks, and the registry that builds one by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from keras_segnet.models.addons import load_addons_model
from keras_segnet.models.segnet import build_segnet
from keras_segnet.models.segnet_basic import build_segnet_basic

NETWORKS: dict[str, Callable[..., keras.Model]] = {
    "segnet": build_segnet,
    "segnet_basic": build_segnet_basic,
}
"""Every network by its registry name."""


def build(
    name: str, num_classes: int = 11, input_shape: tuple[int | None, int | None, int] = (360, 480, 3), **options: Any
) -> keras.Model:
    """Builds the network that the registry has under `name`, with the options that its own function takes.

    Raises:
        ValueError: no network has that name, or an option does not suit it.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}; there are {', '.join(NETWORKS)}.")
    return NETWORKS[name](num_classes, input_shape, **options)


__all__ = ["NETWORKS", "build", "build_segnet", "build_segnet_basic", "load_addons_model"]
