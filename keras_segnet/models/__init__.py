"""The networks, and the registry that builds one by its name.

Every module of this folder is imported here, so each network in it registers itself; `build_NAME` is its function.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from keras_segnet.models.builder import Builder
from keras_segnet.models.efficientnet_lite import efficientnet_lite0
from keras_segnet.models.graph import NetworkSummary, split, summarize
from keras_segnet.models.registry import NETWORKS, Network, build, network

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

globals().update({f"build_{name}": each.build for name, each in NETWORKS.items()})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Builder: ...


__all__ = [
    "NETWORKS",
    "Builder",
    "Network",
    "NetworkSummary",
    "build",
    "efficientnet_lite0",
    "network",
    "split",
    "summarize",
]
__all__ += [f"build_{name}" for name in NETWORKS]
