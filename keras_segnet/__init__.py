"""SegNet in Keras: encoder-decoder segmentation with max-pooling indices, from labelled images to a proven edge file.

>>> import keras_segnet
>>> model = keras_segnet.build_segnet(num_classes=11)

Modules are imported when they are first used, so the command line answers before Keras is loaded.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keras_segnet import _compat

if TYPE_CHECKING:
    from keras_segnet import (
        callbacks,
        data,
        exporting,
        inference,
        layers,
        losses,
        metrics,
        migration,
        models,
        optimizers,
        pictures,
    )
    from keras_segnet.evaluation.evaluate import evaluate
    from keras_segnet.exporting.export import export
    from keras_segnet.inference.predict import predict
    from keras_segnet.models import build, build_segnet, build_segnet_basic
    from keras_segnet.training.train import train

__version__ = "0.2.0"

__all__ = [
    "build",
    "build_segnet",
    "build_segnet_basic",
    "callbacks",
    "data",
    "evaluate",
    "export",
    "exporting",
    "inference",
    "layers",
    "losses",
    "metrics",
    "migration",
    "models",
    "optimizers",
    "pictures",
    "predict",
    "train",
]

_HOMES = {
    "build": "models",
    "build_segnet": "models",
    "build_segnet_basic": "models",
    "evaluate": "evaluation.evaluate",
    "predict": "inference.predict",
    "export": "exporting.export",
    "train": "training.train",
}
"""Module of each name that is not a module itself."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, name)}")
    return getattr(module, name) if name in _HOMES else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


REGISTERED = ("layers", "losses", "metrics", "optimizers")
"""Modules of what .keras files name."""


def _register() -> None:
    """Registers what .keras files name, so that `keras.models.load_model` finds it after `import keras_segnet`.

    Any module of ours may be the one that imports Keras, and is half imported meanwhile. So what is registered here
    imports, as it is loaded, no module of ours that imports Keras itself.
    """
    for module in REGISTERED:
        importlib.import_module(f"{__name__}.{module}")


_compat.when_imported("keras", _register)
