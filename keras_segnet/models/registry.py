"""The registry: every network by its name, and what is published about it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras

from keras_segnet.models.bayesian_segnet import build_bayesian_segnet, build_bayesian_segnet_basic
from keras_segnet.models.deconvnet import build_deconvnet
from keras_segnet.models.deeplab import build_deeplab_largefov, build_deeplab_v2
from keras_segnet.models.deeplab_v3 import build_deeplab_v3
from keras_segnet.models.fcn import build_fcn_8s, build_fcn_16s, build_fcn_32s
from keras_segnet.models.fcn_basic import (
    build_bilinear_interpolation,
    build_fcn_basic,
    build_fcn_basic_no_addition,
    build_fcn_basic_no_addition_no_dim_reduction,
    build_fcn_basic_no_dim_reduction,
)
from keras_segnet.models.graph import NetworkSummary, summarize
from keras_segnet.models.segnet import build_segnet
from keras_segnet.models.segnet_basic import (
    build_segnet_basic,
    build_segnet_basic_encoder_addition,
    build_segnet_basic_single_channel_decoder,
)
from keras_segnet.models.unet import build_unet


@dataclass(frozen=True)
class Network:
    """A network that can be built, trained and exported by its name.

    Whatever is registered is listed by `keras-segnet models` and inherits tests/models/test_every_network.py.

    Attributes:
        name: what the registry, the command line and the model itself call it.
        build: its function, `build(num_classes=11, input_shape=(360, 480, 3), *, width=1.0, ...)`; options that all of
            them take are `width`, `classifier_activation`, `preprocessing` and `name`.
        summary: what it is, in one line.
        source: where it is described: paper and table, prototxt.
        published_parameters: in millions for 11 classes, as the table gives it or at four bytes each; None where the
            source gives none.
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
            "VGG16's 13 convolutions, their mirror, pooling indices",
            "SegNet, Table 6 (117 MB); segnet_train.prototxt",
            published_parameters=29.45,
        ),
        Network(
            "segnet_basic",
            build_segnet_basic,
            "four encoders and decoders, 7x7 convolutions, pooling indices",
            "SegNet, Table 1; segnet_basic_train.prototxt",
            published_parameters=1.425,
        ),
        Network(
            "segnet_basic_encoder_addition",
            build_segnet_basic_encoder_addition,
            "segnet_basic whose decoders add the encoder's maps",
            "SegNet, Table 1",
            published_parameters=1.425,
        ),
        Network(
            "segnet_basic_single_channel_decoder",
            build_segnet_basic_single_channel_decoder,
            "segnet_basic whose decoder filters see one map each",
            "SegNet, Table 1",
            published_parameters=0.625,
        ),
        Network(
            "fcn_basic",
            build_fcn_basic,
            "segnet_basic's encoder; scores of each pooling, learned upsampling",
            "SegNet, Table 1",
            published_parameters=0.65,
        ),
        Network(
            "fcn_basic_no_addition",
            build_fcn_basic_no_addition,
            "fcn_basic with the scores of the last pooling only",
            "SegNet, Table 1",
            published_parameters=0.65,
        ),
        Network(
            "fcn_basic_no_dim_reduction",
            build_fcn_basic_no_dim_reduction,
            "fcn_basic that upsamples and adds all 64 maps",
            "SegNet, Table 1",
            published_parameters=1.625,
        ),
        Network(
            "fcn_basic_no_addition_no_dim_reduction",
            build_fcn_basic_no_addition_no_dim_reduction,
            "fcn_basic that upsamples all 64 maps of the last pooling only",
            "SegNet, Table 1",
            published_parameters=1.625,
        ),
        Network(
            "bilinear_interpolation",
            build_bilinear_interpolation,
            "fcn_basic_no_addition whose upsampling is bilinear and fixed",
            "SegNet, Table 1",
            published_parameters=0.625,
        ),
        Network(
            "bayesian_segnet",
            build_bayesian_segnet,
            "segnet with dropout in its deep layers, to sample from",
            "arXiv 1511.02680; bayesian_segnet_train.prototxt",
            published_parameters=29.45,
        ),
        Network(
            "bayesian_segnet_basic",
            build_bayesian_segnet_basic,
            "segnet_basic with dropout in its deep layers, to sample from",
            "arXiv 1511.02680; bayesian_segnet_basic_train.prototxt",
            published_parameters=1.425,
        ),
        Network(
            "fcn_32s",
            build_fcn_32s,
            "VGG16 made convolutional, its scores upsampled at once",
            "Long et al. (arXiv 1411.4038); SegNet, Table 6 (539 MB)",
            published_parameters=134.75,
        ),
        Network(
            "fcn_16s",
            build_fcn_16s,
            "fcn_32s with the scores of pool4 added on the way",
            "Long et al. (arXiv 1411.4038); SegNet, Table 6 (539 MB)",
            published_parameters=134.75,
        ),
        Network(
            "fcn_8s",
            build_fcn_8s,
            "fcn_32s with the scores of pool4 and pool3 added on the way",
            "Long et al. (arXiv 1411.4038); SegNet, Table 6 (539 MB)",
            published_parameters=134.75,
        ),
        Network(
            "deconvnet",
            build_deconvnet,
            "VGG16 with its fully connected layers, the mirror of all of it, and pooling indices",
            "arXiv 1505.04366; DeconvNet_inference_deploy.prototxt; SegNet, Table 6 (877 MB)",
        ),
        Network(
            "unet",
            build_unet,
            "five levels whose whole maps the decoder concatenates",
            "arXiv 1505.04597, figure 1; phseg_v5.prototxt",
        ),
        Network(
            "deeplab_largefov",
            build_deeplab_largefov,
            "VGG16 at an eighth of the size, fc6 of rate 12, bilinear interpolation",
            "arXiv 1412.7062; DeepLab-LargeFOV's train.prototxt; SegNet, Table 6 (83 MB)",
            published_parameters=20.5,
        ),
        Network(
            "deeplab_v2",
            build_deeplab_v2,
            "VGG16 at an eighth of the size, four atrous branches (ASPP-L)",
            "arXiv 1606.00915, section 3.2; DeepLabv2_VGG16's train.prototxt",
        ),
        Network(
            "deeplab_v3",
            build_deeplab_v3,
            "ResNet-50 at a sixteenth of the size, atrous branches and a feature of the whole image",
            "arXiv 1706.05587, section 3.3; its released model.py",
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


def summarize_network(network: Network) -> NetworkSummary:
    """Builds a network for 11 classes and 360x480 without giving its weights values, and summarises it.

    That takes a fraction of a second and little memory, whatever the network's size.
    """

    def summarize_without_values() -> NetworkSummary:
        with keras.StatelessScope(initialize_variables=False):
            return summarize(network.build())

    # A thread of its own, because Keras lists variables without values by thread, to give them some later.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(summarize_without_values).result()


__all__ = ["NETWORKS", "Network", "build", "summarize_network"]
