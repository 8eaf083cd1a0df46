"""The registered networks, small enough to be built and trained in a moment. What a test must know of each is here."""

from __future__ import annotations

import math
from typing import Any

import keras

from keras_segnet.models import NETWORKS, build

BASIC = (
    "segnet_basic",
    "segnet_basic_encoder_addition",
    "segnet_basic_single_channel_decoder",
    "fcn_basic",
    "fcn_basic_no_addition",
    "fcn_basic_no_dim_reduction",
    "fcn_basic_no_addition_no_dim_reduction",
    "bilinear_interpolation",
    "bayesian_segnet_basic",
)
VGG16 = ("segnet", "bayesian_segnet")
FCN = ("fcn_32s", "fcn_16s", "fcn_8s")
RIVALS = ("deconvnet", "unet", "deeplab_largefov", "deeplab_v2", "deeplab_v3")

WIDTHS = {**dict.fromkeys(BASIC, 1 / 8), **dict.fromkeys((*VGG16, *FCN, *RIVALS), 1 / 16)}
"""At which a network is built in tests."""

RECEPTIVE_FIELDS = {
    # Computed by hand, from the pooling back: k + (k - 1) of each layer before it, twice as much behind each pooling.
    **dict.fromkeys(BASIC, 106),  # The paper's figure, section 3.2.
    **dict.fromkeys(VGG16, 212),
    **dict.fromkeys(FCN, 404),  # Long et al., Table 1.
    "deconvnet": 404,  # VGG16's fc6, as FCN's.
    "unet": 140,
    "deeplab_largefov": 435,  # See test_rivals.py.
    "deeplab_v2": 227 + 2 * 24 * 8,  # pool5, and fc6_4 of rate 24 at an eighth of the size.
    "deeplab_v3": math.inf,  # The image-level feature.
}
"""Extent of what a unit at the encoder's deepest place sees, in pixels."""


def small(
    name: str, num_classes: int = 4, input_shape: tuple[int | None, int | None, int] = (24, 32, 3), **options: Any
) -> keras.Model:
    """Builds a network narrow."""
    return build(name, num_classes, input_shape, **{"width": WIDTHS[name], **options})


__all__ = ["NETWORKS", "RECEPTIVE_FIELDS", "WIDTHS", "small"]
