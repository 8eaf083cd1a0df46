"""The networks, and the registry that builds one by its name."""

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
from keras_segnet.models.registry import NETWORKS, Network, build
from keras_segnet.models.segnet import build_segnet
from keras_segnet.models.segnet_basic import (
    build_segnet_basic,
    build_segnet_basic_encoder_addition,
    build_segnet_basic_single_channel_decoder,
)
from keras_segnet.models.segnet_edge import build_segnet_edge
from keras_segnet.models.unet import build_unet

__all__ = [
    "NETWORKS",
    "Network",
    "NetworkSummary",
    "build",
    "build_bayesian_segnet",
    "build_bayesian_segnet_basic",
    "build_bilinear_interpolation",
    "build_deconvnet",
    "build_deeplab_largefov",
    "build_deeplab_v2",
    "build_deeplab_v3",
    "build_fcn_8s",
    "build_fcn_16s",
    "build_fcn_32s",
    "build_fcn_basic",
    "build_fcn_basic_no_addition",
    "build_fcn_basic_no_addition_no_dim_reduction",
    "build_fcn_basic_no_dim_reduction",
    "build_segnet",
    "build_segnet_basic",
    "build_segnet_basic_encoder_addition",
    "build_segnet_basic_single_channel_decoder",
    "build_segnet_edge",
    "build_unet",
    "summarize",
]
