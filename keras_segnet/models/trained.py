"""Weights of a trained network, by the paths of its variables: those that come with the package, and others.

A file that comes with the package, `keras_segnet/weights/NETWORK_DATA.npz`, holds each variable under its path in the
network, such as `conv1_1/kernel` or `conv1_1_bn/moving_variance`: kernels as float16, vectors, which are few numbers,
as float32 (as float16 too in those of CamVid). They are stored as bytes `(2, *shape)` or `(4, *shape)`, the lowest ones
of all values first and the highest last, which hold the exponents and compress well by themselves. docs/weights/ says
how each was made.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from keras_segnet import catalogue
from keras_segnet.errors import InputError, shown
from keras_segnet.files import reading, whole_file
from keras_segnet.models.graph import score_layers


def load_trained(model: keras.Model, network: str, data: str | None) -> None:
    """Gives a network the weights that the package has of it, or leaves its initial ones where `data` is None.

    Raises:
        ValueError: the network has been built otherwise than the trained one.
    """
    if data is None:
        return
    copy_weights(model, read_weights(catalogue.WEIGHTS / f"{network}_{data}.npz"), f"weights={data!r}")


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The values that `write_weights` wrote, by path in the network."""
    with reading(path, "cannot be read as an .npz"), np.load(path, allow_pickle=False) as arrays:
        return {name: from_bytes(arrays[name]) for name in arrays.files}


def copy_weights(model: keras.Model, values: Mapping[str, np.ndarray], origin: str) -> None:
    """Sets all variables of a network.

    Args:
        model: to be set. The layers that give the scores keep their initial weights if it tells apart another number of
            classes than the network that the values are of.
        values: by path. All are cast to the variables' own dtype.
        origin: what to call the values in an error.

    Raises:
        ValueError: a variable has no value, or one of another shape. Nothing has been set then.
    """
    # Seeds of dropout are no weights.
    variables = {v.path: v for v in model.variables if not v.path.endswith("seed_generator_state")}
    classifier = {path for path in variables if path.split("/")[0] in score_layers(model)}
    if any(path in values and values[path].shape != variables[path].shape for path in classifier):
        variables = {path: variable for path, variable in variables.items() if path not in classifier}
    for path, variable in variables.items():
        shape = values[path].shape if path in values else None
        if shape != tuple(variable.shape):
            has = "nothing" if shape is None else f"an array of shape {shape}"
            raise ValueError(
                f"{origin} has {has} for {path!r} of {model.name}, which takes {tuple(variable.shape)}; it must be of "
                "the same network, width and preprocessing."
            )
    for path, variable in variables.items():
        variable.assign(values[path].astype("float32"))


def read_keras_file(path: Path) -> keras.Model:
    """Loads a .keras file in Keras's safe mode and without its training state.

    Raises:
        InputError: there is no such file, or it is no .keras file.
    """
    import keras_segnet.layers  # noqa: F401 (registers the layers that the file names)

    if not path.is_file():
        raise InputError(f"{path} does not exist; a .keras file is expected there.")
    with reading(path, "cannot be read as a .keras file"):
        refuse_hostile_archive(path)
        return keras.models.load_model(path, compile=False, safe_mode=True)


def refuse_hostile_archive(path: Path) -> None:
    """Raises a ValueError if what is in a .keras file unpacks to more memory than it may have, or to places outside."""
    with zipfile.ZipFile(path) as archive:
        for each in archive.infolist():
            if each.filename.endswith(".json") and each.file_size > MOST_CONFIG:
                raise ValueError(f"its {each.filename} unpacks to {each.file_size:,} bytes; a few MB are normal")
            if each.filename.startswith("/") or ".." in each.filename.split("/"):
                raise ValueError(f"it holds {shown(each.filename)}, a path that leads out of it")


MOST_CONFIG = 2**26
"""Most bytes of a network's description, for a small file may unpack to any size; ours have less than one MB."""


def start_from(model: keras.Model, other: keras.Model, origin: str) -> None:
    """Sets all variables of a network to those of another that was trained; see `copy_weights`.

    Raises:
        ValueError: the other one is another network, or does something else to colours first.
    """
    first, others_first = (type((each.layers[1:] or each.layers)[0]).__name__ for each in (model, other))
    if first != others_first:
        raise ValueError(
            f"{origin} begins with a layer {others_first}, {model.name} with {first}; they must be the same network "
            "with the same preprocessing."
        )
    copy_weights(model, weights_of(other), origin)


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    """All variables of a network by path, as `copy_weights` takes them."""
    return {variable.path: keras.ops.convert_to_numpy(variable) for variable in model.variables}


def write_weights(model: keras.Model, path: Path) -> None:
    """Writes a network's variables into an .npz, kernels as float16 and vectors as float32.

    Raises:
        OverflowError: a value is too large for float16. Nothing has been written then.
    """
    with np.errstate(over="ignore"):  # It is looked for below, and named.
        values = {
            name: value.astype("float16" if value.ndim > 1 else "float32") for name, value in weights_of(model).items()
        }
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise OverflowError(f"{name} of {model.name} does not fit into float16.")
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{name: to_bytes(value) for name, value in values.items()})


def to_bytes(values: np.ndarray) -> np.ndarray:
    """The bytes of floats of any shape and size, lowest first: uint8 `(bytes of a value, *shape)`."""
    return np.moveaxis(values.astype(f"<f{values.itemsize}")[..., None].view(np.uint8), -1, 0)


def from_bytes(parts: np.ndarray) -> np.ndarray:
    """The floats `(*shape)` of which `to_bytes` made these bytes."""
    return np.ascontiguousarray(np.moveaxis(parts, 0, -1)).view(f"<f{len(parts)}")[..., 0]


__all__ = [
    "copy_weights",
    "load_trained",
    "read_keras_file",
    "read_weights",
    "refuse_hostile_archive",
    "start_from",
    "weights_of",
    "write_weights",
]
