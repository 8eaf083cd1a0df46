"""The networks, and the registry that builds one by its name."""

from keras_segnet.models.addons import load_addons_model
from keras_segnet.models.registry import NETWORKS, Network, build
from keras_segnet.models.segnet import build_segnet
from keras_segnet.models.segnet_basic import build_segnet_basic

__all__ = ["NETWORKS", "Network", "build", "build_segnet", "build_segnet_basic", "load_addons_model"]
