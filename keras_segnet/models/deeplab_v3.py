"""DeepLab v3: ResNet-50, and parallel atrous convolutions beside a feature of the whole image (arXiv 1706.05587)."""

from __future__ import annotations

import keras
from keras import layers

from keras_segnet.layers import BroadcastLike, InterpolateLike
from keras_segnet.models import blocks, resnet50
from keras_segnet.models.vgg16 import check_vgg16_start

FILTERS = 256


def build_deeplab_v3(
    num_classes: int = 11,
    input_shape: tuple[int | None, int | None, int] = (360, 480, 3),
    *,
    width: float = 1.0,
    weights: str | None = None,
    classifier_activation: str | None = "softmax",
    preprocessing: str | None = "imagenet",
    dropout: float = 0.1,
    rates: tuple[int, ...] = (6, 12, 18),
    name: str = "deeplab_v3",
) -> keras.Model:
    """DeepLab v3 of section 3.3 on ResNet-50, output stride 16, layers named as in the released model.py.

    The paper's results are mostly ResNet-101's; ResNet-50 is the smaller of its two. With 11 classes it has 39,074,059
    trainable parameters. Input: RGB in 0..255, `(batch, height, width, 3)`. Output: float32
    `(batch, height, width, num_classes)`.

    Args:
        num_classes: classes to tell apart, without an ignored one. Default 11, CamVid's.
        input_shape: `(height, width, 3)`; None for a height or width that varies. Default: SegNet's 360x480.
        width: factor on all channel counts but the classifier's. Default 1.0.
        weights: None for He initial weights (default), or `"imagenet"` to start from `keras.applications.ResNet50`
            (downloads it), which needs width 1 and preprocessing "imagenet".
        classifier_activation: `"softmax"` (default) or None for logits.
        preprocessing: what the model does to colours first: `"imagenet"` (default), `"lrn"` or None.
        dropout: rate of dropout before the classifier. Default 0.1, as released.
        rates: of the atrous convolutions. Default: the paper's for output stride 16.
        name: of the model.

    Raises:
        ValueError: an argument is not one of the above.
    """
    blocks.check_common(num_classes, width, dropout, classifier_activation)
    if weights not in (None, "imagenet"):
        raise ValueError(f"weights must be None or 'imagenet', not {weights!r}.")
    check_vgg16_start(weights, width, preprocessing)
    if not rates or not all(isinstance(rate, int) and rate > 0 for rate in rates):
        raise ValueError(f"rates must be positive ints, not {rates!r}.")
    filters = blocks.scaled(FILTERS, width)

    image = blocks.image_input(input_shape)
    x = resnet50.atrous_resnet50(blocks.normalize_colours(image, preprocessing), width)

    whole = layers.GlobalAveragePooling2D(keepdims=True, data_format="channels_last", name="global_pool")(x)
    whole = blocks.convolution(whole, filters, 1, "image_pooling")
    branches = [
        BroadcastLike(name="image_pooling_broadcast")(whole, like=x),
        blocks.convolution(x, filters, 1, "aspp0"),
        *(blocks.convolution(x, filters, 3, f"aspp{i}", dilation_rate=rate) for i, rate in enumerate(rates, start=1)),
    ]
    x = layers.Concatenate(name="concat")(branches)
    x = blocks.convolution(x, filters, 1, "concat_projection")
    x = blocks.dropped(x, dropout, "concat_projection_dropout")
    x = blocks.scores(x, num_classes, "semantic")
    x = InterpolateLike(resnet50.OUTPUT_STRIDE, dtype="float32", name="semantic_interp")(x, like=image)

    model = keras.Model(image, blocks.probabilities(x, classifier_activation), name=name)
    if weights is not None:
        resnet50.load_resnet50(model)
    return model
