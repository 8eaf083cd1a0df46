"""SegNet-Basic: four encoders and four decoders, the net of the paper's decoder study (section 3.2, Table 1).

Three of that study's networks unpool with indices and differ in one thing, what a decoder makes of the unpooled maps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from keras import layers

from keras_segnet.errors import InputError
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks
from keras_segnet.models.registry import network

FILTERS = 64
KERNEL_SIZE = 7
STAGES = 4


def decode_as_segnet(unpooled: Any, encoded: Any, name: str) -> Any:
    """7x7 convolution and batch normalisation, no ReLU."""
    return blocks.convolution(unpooled, unpooled.shape[-1], KERNEL_SIZE, name, relu=False)


def decode_with_a_single_channel(unpooled: Any, encoded: Any, name: str) -> Any:
    """Decodes as SegNet, but each filter sees only its own unpooled feature map."""
    return blocks.depthwise_convolution(unpooled, KERNEL_SIZE, name)


def decode_with_encoder_addition(unpooled: Any, encoded: Any, name: str) -> Any:
    """Decodes as SegNet, and adds the encoder's feature maps before their pooling."""
    return layers.Add(name=f"{name}_add")([decode_as_segnet(unpooled, encoded, name), encoded])


DECODERS = {
    "segnet": decode_as_segnet,
    "single_channel": decode_with_a_single_channel,
    "encoder_addition": decode_with_encoder_addition,
}
"""Functions that a decoder applies to its unpooled feature maps and the encoder's of the same stage, by name."""


def wire(decode: Callable[..., Any], x: Any, num_classes: int, width: float, *, dropout: float = 0.0) -> Any:
    """The scores of a network whose decoders do `decode`; for the rest see `keras_segnet.models.registry`."""
    pooled = []
    for stage in range(1, STAGES + 1):
        encoded = blocks.convolution(x, blocks.scaled(FILTERS, width), KERNEL_SIZE, f"conv{stage}")
        x, indices = MaxPoolingWithArgmax2D(name=f"pool{stage}")(encoded)
        pooled.append((encoded, indices))
        if stage >= 3:
            x = blocks.dropped(x, dropout, f"encdrop{stage}")

    for stage in range(STAGES, 0, -1):
        encoded, indices = pooled[stage - 1]
        x = MaxUnpooling2D(name=f"upsample{stage}")(x, indices, like=encoded)
        x = decode(x, encoded, f"conv_decode{stage}")
        if stage >= 3:
            x = blocks.dropped(x, dropout, f"decdrop{stage}")
    return blocks.scores(x, num_classes, "conv_classifier")


@network(
    source="SegNet, Table 1; segnet_basic_train.prototxt",
    summary="four encoders and decoders, 7x7 convolutions, pooling indices",
    published=1.425,
    preprocessing="lrn",
)
def segnet_basic(x: Any, num_classes: int, width: float, *, decoder: str = "segnet", dropout: float = 0.0) -> Any:
    """SegNet-Basic as in segnet_basic_train.prototxt, layers named as released.

    Encoder: 4 x [7x7 convolution of 64, batch normalisation, ReLU, pooling with indices]. Decoder: 4 x [unpooling with
    those indices, 7x7 convolution of 64, batch normalisation, no ReLU], then a 1x1 classifier. With 11 classes it has
    1,415,040 weights in its convolutions (Table 1: 1.425 M parameters).

    Args:
        decoder: `"segnet"` (default), or another of Table 1: `"single_channel"` (SegNet-Basic-SingleChannelDecoder) or
            `"encoder_addition"` (SegNet-Basic-EncoderAddition).
        dropout: rate of dropout after pool3, pool4 and the decoders of stage 4 and 3, where bayesian_segnet_basic has
            it. Default 0: none.
    """
    if decoder not in DECODERS:
        raise InputError(f"decoder must be one of {', '.join(map(repr, DECODERS))}; not {decoder!r}.")
    return wire(DECODERS[decoder], x, num_classes, width, dropout=dropout)


# name | decoder | parameters in Table 1, M | what the network is, in a line | and in a docstring
VARIANTS = (
    (
        "segnet_basic_encoder_addition", "encoder_addition", 1.425,
        "segnet_basic whose decoders add the encoder's maps",
        """SegNet-Basic-EncoderAddition (Table 1): each decoder adds the 64 maps of its encoder to what it puts out.

        The encoder's maps are those before pooling, the only ones that the last decoder's size suits. As many
        parameters as SegNet-Basic.

        Args:
            dropout: as in `build_segnet_basic`.
        """,
    ),
    (
        "segnet_basic_single_channel_decoder", "single_channel", 0.625,
        "segnet_basic whose decoder filters see one map each",
        """SegNet-Basic-SingleChannelDecoder (Table 1): each decoder filter sees only its own unpooled map.

        With 11 classes it has 624,768 weights in its convolutions (Table 1: 0.625 M parameters).

        Args:
            dropout: as in `build_segnet_basic`.
        """,
    ),
)  # fmt: skip

for name, decoder, published, summary, doc in VARIANTS:
    network(
        name=name, source="SegNet, Table 1", summary=summary, published=published, preprocessing="lrn", doc=doc
    )(functools.partial(wire, DECODERS[decoder]))  # fmt: skip
