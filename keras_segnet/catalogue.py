"""The names that arguments can have, of networks first: known before Keras is imported.

So a command refuses a misspelt name at once. A test holds the networks against their registry, `keras_segnet.models`.
"""

from __future__ import annotations

from pathlib import Path

from keras_segnet.errors import InputError, nearest

NETWORKS = [
    "segnet",
    "segnet_basic",
    "segnet_basic_encoder_addition",
    "segnet_basic_single_channel_decoder",
    "bayesian_segnet",
    "bayesian_segnet_basic",
    "deconvnet",
    "deeplab_largefov",
    "deeplab_v2",
    "deeplab_v3",
    "fcn_32s",
    "fcn_16s",
    "fcn_8s",
    "fcn_basic",
    "fcn_basic_no_addition",
    "fcn_basic_no_dim_reduction",
    "fcn_basic_no_addition_no_dim_reduction",
    "bilinear_interpolation",
    "segnet_edge",
    "unet",
]
"""Every network by its name, in the order of `keras-segnet models`. `@network` adds others', as they register."""

WEIGHTS = Path(__file__).with_name("weights")
"""Folder of the trained weights, `NETWORK_DATA.npz`."""


def trained_on(network: str) -> list[str]:
    """The data sets of which the package has weights of a network."""
    names = (path.stem.rpartition("_") for path in sorted(WEIGHTS.glob("*.npz")))
    return [data for name, _, data in names if name == network]


def is_trained_network(path: Path) -> bool:
    """Whether `path` is no file but the name of a network of which the package has weights."""
    return path.name == str(path) and not path.exists() and bool(trained_on(path.name))


BALANCING = ("presence", "presence_with_ignored", "global")
"""Definitions of median frequency balancing; see `keras_segnet.data.median_frequency_weights`."""

HEADS = ("probabilities", "logits", "class_map")
"""What an exported file gives for each pixel: `class_map` picks the best class on the device, `logits` leaves softmax
and choice to the caller."""

PRECISIONS = ("float32", "float16", "int8")
INTERFACES = ("float32", "int8", "uint8")
"""Of .tflite files; see `keras_segnet.exporting.to_tflite`."""

RESULTS = ("both", "masks", "overlays")
"""What `predict` can write."""

ANY_MODEL = "a .keras, .tflite or .onnx file, a SavedModel folder or the name of a trained network"
KERAS_MODEL = "a .keras file or the name of a trained network"


def refuse_missing_model(path: Path, expected: str = ANY_MODEL) -> None:
    """Raises an InputError if there is nothing at a path and it is not the name of a trained network.

    Args:
        path: what is given as a model.
        expected: what may be given, for the message.
    """
    if not path.exists() and not is_trained_network(path):
        hint = nearest(str(path), [name for name in NETWORKS if trained_on(name)])
        raise InputError(f"{path} does not exist; {expected} is expected there{hint}")
