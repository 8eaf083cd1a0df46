"""FCN: VGG16 made fully convolutional, with skips (Long, Shelhamer and Darrell, arXiv 1411.4038), a rival in Table 3.

FCN-32s upsamples the deepest scores at once; FCN-16s adds scores of pool4 on the way, FCN-8s those of pool3 too. As in
the original, there is no batch normalisation, and upsampling is a deconvolution that starts as bilinear interpolation
and is trained ("learnt deconvolution" in the paper's tables). Parameters are the original's, with 11 classes:

| network | parameters | the same in float32 |
|---|---|---|
| FCN-32s | 134,801,227 | 539.2 MB |
| FCN-16s | 134,437,094 | 537.7 MB |
| FCN-8s | 134,348,929 | 537.4 MB |

(Table 6 of the SegNet paper: 539 MB.) One thing differs: the original pads the image by 100 pixels at conv1_1 so that
fc6 has enough to see, and crops the scores by offsets. Here all convolutions have padding "same" and each map is cut to
the size of what it is added to, which needs no offsets, suits any size and saves the arithmetic on the padding.

Exported files hold its deconvolutions of strides above 2 as convolutions: `keras_segnet.exporting.deconvolution`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from keras import layers

from keras_segnet.models import blocks
from keras_segnet.models.registry import network
from keras_segnet.models.vgg16 import FILTERS, VGG16

FULLY_CONNECTED = 4096


def wire(skips: Sequence[int], x: Any, num_classes: int, width: float, *, dropout: float = 0.5) -> Any:
    """The scores of VGG16 with fc6 and fc7 as convolutions, to which those of the poolings `skips` are added.

    For the other arguments see `keras_segnet.models.registry`.
    """
    image = x
    pooled = {}
    for stage, filters in enumerate(FILTERS, start=1):
        for i, channels in enumerate(filters, start=1):
            x = blocks.plain_convolution(x, blocks.scaled(channels, width), 3, f"conv{stage}_{i}")
        x = layers.MaxPooling2D(2, padding="same", data_format="channels_last", name=f"pool{stage}")(x)
        pooled[stage] = x
    for number, kernel_size in ((6, 7), (7, 1)):
        x = blocks.plain_convolution(x, blocks.scaled(FULLY_CONNECTED, width), kernel_size, f"fc{number}")
        x = blocks.dropped(x, dropout, f"drop{number}")

    x = blocks.scores(x, num_classes, "score_fr")
    stride = 32
    for stage in skips:
        name = "upscore2" if stage == 4 else f"upscore_pool{stage + 1}"
        x = blocks.deconvolution(x, 4, 2, name, like=pooled[stage])
        x = layers.Add(name=f"fuse_pool{stage}")([x, blocks.scores(pooled[stage], num_classes, f"score_pool{stage}")])
        stride //= 2
    return blocks.deconvolution(x, 2 * stride, stride, "upscore" if stride == 32 else f"upscore{stride}", like=image)


# name | poolings whose scores are added | what it is, in a line
VARIANTS = (
    ("fcn_32s", (), "VGG16 made convolutional, its scores upsampled at once"),
    ("fcn_16s", (4,), "fcn_32s with the scores of pool4 added on the way"),
    ("fcn_8s", (4, 3), "fcn_32s with the scores of pool4 and pool3 added on the way"),
)

DOC = """{name} as in voc-{released}, but for the padding; see `keras_segnet.models.fcn`. Layers are named as released.

Args:
    dropout: rate of dropout after fc6 and fc7. Default 0.5, the original's.
"""

for name, skips, summary in VARIANTS:
    network(
        name=name,
        source="Long et al. (arXiv 1411.4038); SegNet, Table 6 (539 MB)",
        summary=summary,
        published=134.75,
        encoder=VGG16,
        doc=DOC.format(name=name.upper().replace("_", "-").replace("S", "s"), released=name.replace("_", "")),
    )(functools.partial(wire, skips))
