"""FCN-Basic and its variants, and bilinear interpolation: what SegNet-Basic is compared with in the paper's Table 1.

They share SegNet-Basic's encoder, four times [7x7 convolution of 64, batch normalisation, ReLU, pooling], and have no
indices: the decoder upsamples each pooling's maps with a learned or fixed filter. `VARIANTS` holds what tells them
apart. Learned upsampling is a deconvolution 8x8 with stride 2 that starts as bilinear interpolation. The maps that are
added are those behind the poolings (figure 3), so the last upsampling, to the size of the image, adds none.
"""

from __future__ import annotations

import functools
from typing import Any

from keras import layers

from keras_segnet.models import blocks
from keras_segnet.models.registry import network
from keras_segnet.models.segnet_basic import FILTERS, KERNEL_SIZE, STAGES

DECONVOLUTION_SIZE = 8


def wire(reduce: bool, learn: bool, add: bool, colours: Any, num_classes: int, width: float) -> Any:
    """The scores of a network of this family.

    Args:
        reduce: whether 1x1 convolutions reduce the encoder's maps to one a class before they are upsampled and added;
            otherwise a 1x1 classifier ends the network.
        learn: whether upsampling is learned; otherwise it is bilinear and fixed.
        add: whether the decoder adds the encoder's maps.
        colours, num_classes, width: see `keras_segnet.models.registry`.
    """
    maps = [colours]
    for stage in range(1, STAGES + 1):
        x = blocks.convolution(maps[-1], blocks.scaled(FILTERS, width), KERNEL_SIZE, f"conv{stage}")
        maps.append(layers.MaxPooling2D(2, padding="same", data_format="channels_last", name=f"pool{stage}")(x))

    def decoded(stage: int) -> Any:
        return blocks.scores(maps[stage], num_classes, f"score_pool{stage}") if reduce else maps[stage]

    x = decoded(STAGES)
    for stage in range(STAGES, 0, -1):
        name, like = f"upsample{stage}", maps[stage - 1]
        if learn:
            x = blocks.deconvolution(x, DECONVOLUTION_SIZE, 2, name, like=like)
        else:
            x = blocks.bilinear_upsampling(x, 2, name, like=like)
        if add and stage > 1:
            x = layers.Add(name=f"fuse_pool{stage - 1}")([x, decoded(stage - 1)])
    return x if reduce else blocks.scores(x, num_classes, "conv_classifier")


# name | reduce, learn, add | parameters in Table 1, M | what it is, in a line | and in a docstring
VARIANTS = (
    (
        "fcn_basic", (True, True, True), 0.65,
        "segnet_basic's encoder; scores of each pooling, learned upsampling",
        """FCN-Basic (Table 1): FCN's decoder on SegNet-Basic's encoder.

        1x1 convolutions reduce the maps behind each pooling to one a class; the deepest are upsampled, and at each size
        the encoder's are added. With 11 classes the convolutions have 645,312 weights (Table 1: 0.65 M parameters).
        """,
    ),
    (
        "fcn_basic_no_addition", (True, True, False), 0.65,
        "fcn_basic with the scores of the last pooling only",
        """FCN-Basic-NoAddition (Table 1): only the deepest maps are reduced, upsampled and classified.

        With 11 classes the convolutions have 643,200 weights (Table 1: 0.65 M parameters).
        """,
    ),
    (
        "fcn_basic_no_dim_reduction", (False, True, True), 1.625,
        "fcn_basic that upsamples and adds all 64 maps",
        """FCN-Basic-NoDimReduction (Table 1): upsamples and adds 64 maps at each size, and classifies last.

        The paper leaves open how 64 maps become classes. Here all four deconvolutions keep 64, and a 1x1 classifier as
        SegNet-Basic's ends the network. That makes 1,660,800 weights with 11 classes, 2.2 % more than the 1.625 M of
        Table 1, which no single wiring gives.
        """,
    ),
    (
        "fcn_basic_no_addition_no_dim_reduction", (False, True, False), 1.625,
        "fcn_basic that upsamples all 64 maps of the last pooling only",
        """FCN-Basic-NoAddition-NoDimReduction (Table 1): upsamples the deepest 64 maps, and classifies last.

        The wiring, and so the number of weights, is that of `build_fcn_basic_no_dim_reduction`, without the additions.
        """,
    ),
    (
        "bilinear_interpolation", (True, False, False), 0.625,
        "fcn_basic_no_addition whose upsampling is bilinear and fixed",
        """Bilinear-Interpolation (Table 1): classifies the deepest maps, and upsamples the scores without learning.

        Scores and not 64 maps are interpolated: 1x1 convolution and interpolation change places without changing
        anything else, and this way costs a sixth. With 11 classes the convolutions have 612,224 weights, 2.0 % less
        than the 0.625 M of Table 1.
        """,
    ),
)  # fmt: skip

for name, options, published, summary, doc in VARIANTS:
    network(
        name=name, source="SegNet, Table 1", summary=summary, published=published, preprocessing="lrn", doc=doc
    )(functools.partial(wire, *options))  # fmt: skip
