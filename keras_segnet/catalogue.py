"""The names that arguments can have, of networks first: known before Keras is imported.

So a command refuses a misspelt name at once.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from keras_segnet.errors import InputError, nearest


@cache
def networks() -> list[str]:
    """Every network by its name, read from the source of models/, whose import is Keras's.

    A name is that of a function under `@network`, the `name` of a call `network(...)`, or of a row of `VARIANTS`.
    `@network` adds others' names to this list, as they register.
    """
    names: list[str] = []
    for file in sorted(Path(__file__).with_name("models").glob("*.py")):
        for statement in ast.parse(file.read_bytes()).body:
            match statement:
                case ast.FunctionDef(name=name, decorator_list=[ast.Call(func=ast.Name(id="network"))]):
                    names.append(name)
                case ast.Expr(value=ast.Call(func=ast.Call(func=ast.Name(id="network"), keywords=given))):
                    names += [ast.literal_eval(each.value) for each in given if each.arg == "name"]
                case ast.Assign(targets=[ast.Name(id="VARIANTS")], value=ast.Tuple(elts=rows)):
                    names += [ast.literal_eval(row.elts[0]) for row in rows if isinstance(row, ast.Tuple)]
    return names


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

INTEGERS = ("int8", "int16x8")
"""Precisions of .tflite files for which ranges of activations are measured."""

PRECISIONS = ("float32", "float16", *INTEGERS)
INTERFACES = ("float32", "int8", "uint8")
"""Dtypes of a .tflite file's input and output; see `keras_segnet.exporting.to_tflite`."""

RESULTS = ("both", "masks", "overlays")
"""Kinds of files that `predict` can write."""

ANY_MODEL = "a .keras, .tflite or .onnx file, a SavedModel folder or the name of a trained network"
KERAS_MODEL = "a .keras file or the name of a trained network"


def refuse_missing_model(path: Path, expected: str = ANY_MODEL) -> None:
    """Raises an InputError if there is nothing at a path and it is not the name of a trained network.

    Args:
        path: what is given as a model.
        expected: what may be given, for the message.
    """
    if not path.exists() and not is_trained_network(path):
        hint = nearest(str(path), [name for name in networks() if trained_on(name)])
        raise InputError(f"{path} does not exist; {expected} is expected there{hint}")
