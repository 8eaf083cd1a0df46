"""FCN-Basic and its variants, and bilinear interpolation: what SegNet-Basic is compared with in the paper's Table 1.

They share SegNet-Basic's encoder, four times [7x7 convolution of 64, batch normalisation, ReLU, pooling], and have no
indices: the decoder upsamples what the poolings give. A learned filter is a deconvolution 8x8 with stride 2 that starts
as bilinear interpolation. The maps that are added are those behind the poolings (figure 3).
"""

from __future__ import annotations

import functools
from typing import Any

from keras import layers

from keras_segnet.models import blocks
from keras_segnet.models.registry import network
from keras_segnet.models.segnet_basic import FILTERS, KERNEL_SIZE, STAGES


def wire(reduce: bool, learn: bool, add: bool, x: Any, num_classes: int, width: float) -> Any:
    """The scores of a network of this family; for `x`, `num_classes` and `width` see `keras_segnet.models.registry`.

    Args:
        reduce: whether 1x1 convolutions make scores of the encoder's maps before they are upsampled and added;
            otherwise a 1x1 classifier, as SegNet-Basic's, ends the network.
        learn: whether upsampling is a deconvolution; otherwise it is bilinear and fixed.
        add: whether the decoder adds the encoder's maps, at all sizes but the image's.
    """
    maps = [x]
    for stage in range(1, STAGES + 1):
        x = blocks.convolution(x, blocks.scaled(FILTERS, width), KERNEL_SIZE, f"conv{stage}")
        x = layers.MaxPooling2D(2, padding="same", data_format="channels_last", name=f"pool{stage}")(x)
        maps.append(x)

    def decoded(stage: int) -> Any:
        return blocks.scores(maps[stage], num_classes, f"score_pool{stage}") if reduce else maps[stage]

    x = decoded(STAGES)
    for stage in range(STAGES, 0, -1):
        name, like = f"upsample{stage}", maps[stage - 1]
        if learn:
            x = blocks.deconvolution(x, 8, 2, name, like=like)
        else:
            x = blocks.bilinear_upsampling(x, 2, name, like=like)
        if add and stage > 1:
            x = layers.Add(name=f"fuse_pool{stage - 1}")([x, decoded(stage - 1)])
    return x if reduce else blocks.scores(x, num_classes, "conv_classifier")


# name | the paper's | reduce, learn, add | weights of the convolutions | Table 1, M | what it is | and a word more
VARIANTS = (
    ("fcn_basic", "FCN-Basic", (True, True, True), 645_312, 0.65,
     "segnet_basic's encoder; scores of each pooling, learned upsampling", ""),
    ("fcn_basic_no_addition", "FCN-Basic-NoAddition", (True, True, False), 643_200, 0.65,
     "fcn_basic with the scores of the last pooling only", ""),
    ("fcn_basic_no_dim_reduction", "FCN-Basic-NoDimReduction", (False, True, True), 1_660_800, 1.625,
     "fcn_basic that upsamples and adds all 64 maps",
     "No single wiring gives the 1.625 M: the paper leaves open how 64 maps become classes. Here all four\n"
     "deconvolutions keep 64 maps, and a 1x1 classifier as SegNet-Basic's follows."),
    ("fcn_basic_no_addition_no_dim_reduction", "FCN-Basic-NoAddition-NoDimReduction", (False, True, False), 1_660_800,
     1.625, "fcn_basic that upsamples all 64 maps of the last pooling only", ""),
    ("bilinear_interpolation", "Bilinear-Interpolation", (True, False, False), 612_224, 0.625,
     "fcn_basic_no_addition whose upsampling is bilinear and fixed",
     "Scores and not 64 maps are interpolated: the 1x1 convolution commutes with it, and this way costs a sixth."),
)  # fmt: skip

DOC = """{paper}: {summary}.

With 11 classes its convolutions have {weights:,} weights (Table 1: {published} M parameters).
{more}"""

for name, paper, options, weights, published, summary, more in VARIANTS:
    doc = DOC.format(paper=paper, summary=summary, weights=weights, published=published, more=more)
    network(
        name=name, source="SegNet, Table 1", summary=summary, published=published, preprocessing="lrn", doc=doc
    )(functools.partial(wire, *options))  # fmt: skip
