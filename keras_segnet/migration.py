"""Models of Keras 2 that unpool with tensorflow-addons' `MaxUnpooling2D`, read from their files.

An .h5 file whose pooling is a layer is read by `keras.models.load_model`; importing keras_segnet is enough for that.
The rest Keras 3 cannot read by itself: it does not know where Keras 2 kept its functional models, nor has it a layer
for a TensorFlow function called on a symbolic tensor (`TFOpLambda`), as `tf.nn.max_pool_with_argmax` mostly was. So
`load_addons_model` puts the architecture in Keras 3's words first.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet import _compat
from keras_segnet.errors import InputError
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D, positions

ORDER = ("depthwise_kernel", "pointwise_kernel", "kernel", "gamma", "bias", "beta", "moving_mean", "moving_variance")
"""Order in which layers list their weights."""


class _AddonsLayer(keras.layers.Layer):
    """What the layers of tensorflow-addons have in common: the name of their second argument."""

    def __call__(self, updates: Any, mask: Any, **kwargs: Any) -> Any:
        # From files of Keras 2, Keras 3 revives the first tensor of a call only; of the mask it hands over the place.
        if isinstance(mask, (list, tuple)):
            mask = _ancestor(updates, *mask[:3])
        return super().__call__(updates, mask, **kwargs)


@keras.saving.register_keras_serializable("Addons", name="MaxUnpooling2D")
class AddonsMaxUnpooling2D(_AddonsLayer, MaxUnpooling2D):
    """`MaxUnpooling2D` under the name, and with the argument names and defaults, that it has in tensorflow-addons.

    For files that name it, and for code that relies on `strides` being (2, 2) whatever the `pool_size`. New code uses
    `MaxUnpooling2D`.
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = (2, 2),
        strides: int | tuple[int, int] = (2, 2),
        padding: str = "SAME",
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, **kwargs)

    def call(self, updates: Any, mask: Any) -> Any:  # type: ignore[override]
        return super().call(updates, mask)

    def compute_output_spec(self, updates: Any, mask: Any) -> keras.KerasTensor:  # type: ignore[override]
        return super().compute_output_spec(updates, mask)


@keras.saving.register_keras_serializable("Addons", name="MaxUnpooling2DV2")
class AddonsMaxUnpooling2DV2(_AddonsLayer):
    """tensorflow-addons' `MaxUnpooling2DV2`, which is told the size of its output instead of the windows.

    Args:
        output_size: `(batch, height, width, channels)` of the output. Only height and width are used: any batch does.

    Call arguments:
        updates: tensor `(batch, rows, columns, channels)`.
        mask: tensor of the same shape, positions in the output: `MaxPoolingWithArgmax2D(encoding="flat")`'s or those of
            `tf.nn.max_pool_with_argmax`.

    Raises:
        ValueError: `output_size` has not four elements.
        ValueError, tf.errors.InvalidArgumentError: a position lies outside the output; see `MaxUnpooling2D`.
    """

    def __init__(self, output_size: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_size = tuple(output_size)
        if len(self.output_size) != 4:
            raise ValueError(f"output_size must be (batch, height, width, channels), not {output_size!r}.")

    def call(self, updates: Any, mask: Any) -> Any:
        _, height, width, _ = self.output_size
        return positions.max_unpool(updates, mask, (height, width), self.name)

    def compute_output_spec(self, updates: Any, mask: Any) -> keras.KerasTensor:
        return keras.KerasTensor((updates.shape[0], *self.output_size[1:3], updates.shape[3]), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output_size": self.output_size}


@keras.saving.register_keras_serializable("keras_segnet")
class SizedMaxUnpooling2D(MaxUnpooling2D):
    """The unpooling of the older Keras SegNets: `MaxUnpooling2D(size=(2, 2))([updates, mask])`, its mask in floats.

    With it their files load; `MaxPoolingWithArgmax2D` serves as their pooling:

        from keras_segnet.layers import MaxPoolingWithArgmax2D
        from keras_segnet.migration import SizedMaxUnpooling2D

        own = {"MaxPoolingWithArgmax2D": MaxPoolingWithArgmax2D, "MaxUnpooling2D": SizedMaxUnpooling2D}
        model = keras.models.load_model("old.h5", custom_objects=own, compile=False)
        model.save("new.keras")

    Args:
        size: rows and columns that a value is spread over, an int or a pair. Default (2, 2).

    Call arguments:
        inputs: `[updates, mask]`.
    """

    def __init__(self, size: int | tuple[int, int] = (2, 2), **kwargs: Any) -> None:
        super().__init__(size, **kwargs)

    def call(self, inputs: Sequence[Any]) -> Any:  # type: ignore[override]
        return super().call(*inputs)

    def compute_output_spec(self, inputs: Sequence[Any]) -> keras.KerasTensor:  # type: ignore[override]
        return super().compute_output_spec(*inputs)

    def get_config(self) -> dict[str, Any]:
        return {**keras.layers.Layer.get_config(self), "size": self.pool_size}


def load_addons_model(path: str | os.PathLike[str], custom_objects: dict[str, Any] | None = None) -> keras.Model:
    """Loads a functional model that Keras 2 saved and that unpools with tensorflow-addons' `MaxUnpooling2D`.

    Pooling by `tf.nn.max_pool_with_argmax` becomes `MaxPoolingWithArgmax2D`. The result runs on every backend and can
    be saved and exported like a model built here. The optimiser's state is not read.

    Args:
        path: an .h5 or .keras file, or the folder of a SavedModel (which takes TensorFlow to read).
        custom_objects: layers of one's own by their class name in the file, as Keras's `load_model` takes them. For a
            layer that did nothing but `tf.nn.max_pool_with_argmax`, give `MaxPoolingWithArgmax2D`.

    Raises:
        InputError: the file is missing or none of these, holds no functional model, or has a layer that is not known.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder.")
    try:
        if path.is_dir():
            config, weights = _read_saved_model(path)
        elif zipfile.is_zipfile(path):
            config, weights = _read_keras_file(path)
        else:
            config, weights = _read_h5_file(path)
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: reading it needs {error.name}, which is not installed.") from error
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not a model that Keras 2 saved: {error}.") from error
    if config.get("class_name") not in ("Functional", "Model"):
        raise InputError(f"{path} holds a {config.get('class_name')}; only functional models can be read.")
    try:
        model = keras.Model.from_config(
            _for_keras_3(config["config"], custom_objects or {}), custom_objects=custom_objects
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())[:300]}") from error
    _set_weights(model, weights, path)
    return model


def _ancestor(tensor: keras.KerasTensor, name: str, node: int, output: int) -> keras.KerasTensor:
    """The output of the layer `name` that `tensor` was computed from."""
    waiting, seen = [tensor], set()
    while waiting:
        operation = _compat.maker(waiting.pop())
        if operation.name == name:
            return _compat.calls_of(operation)[node].output_tensors[output]
        if operation not in seen:
            seen.add(operation)
            waiting += [argument for each in _compat.calls_of(operation) for argument in each.input_tensors]
    raise ValueError(f"the mask is from layer {name!r}, which the updates are not computed from")


Weights = list[list[np.ndarray]]
"""Weights of each layer that has any, in the order of the layers."""


def _read_h5_file(path: Path) -> tuple[dict[str, Any], Weights]:
    import h5py

    with h5py.File(path) as file:
        group = file["model_weights"]
        weights = [
            [np.array(group[layer][name]) for name in group[layer].attrs["weight_names"]]
            for layer in group.attrs["layer_names"]
        ]
        return json.loads(file.attrs["model_config"]), [arrays for arrays in weights if arrays]


def _read_keras_file(path: Path) -> tuple[dict[str, Any], Weights]:
    import h5py

    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        with archive.open("model.weights.h5") as stored, h5py.File(stored) as file:
            # Its groups carry the names of the classes, numbered in the order of the layers.
            seen: Counter[str] = Counter()
            weights = []
            for layer in config["config"]["layers"]:
                kind = _snake_case(layer["class_name"])
                name = f"{kind}_{seen[kind]}" if seen[kind] else kind
                seen[kind] += 1
                variables = file[f"layers/{name}/vars"]
                weights.append([np.array(variables[str(i)]) for i in range(len(variables))])
    return config, [arrays for arrays in weights if arrays]


def _read_saved_model(folder: Path) -> tuple[dict[str, Any], Weights]:
    import tensorflow as tf

    metadata = _compat.read_saved_metadata((folder / "keras_metadata.pb").read_bytes())
    root = json.loads(next(node for node in metadata.nodes if node.node_path == "root").metadata)
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    stored: dict[int, dict[str, np.ndarray]] = {}
    for key in reader.get_variable_to_shape_map():
        found = re.fullmatch(r"layer_with_weights-(\d+)/(\w+)/\.ATTRIBUTES/VARIABLE_VALUE", key)
        if found:
            stored.setdefault(int(found[1]), {})[found[2]] = reader.get_tensor(key)
    weights = [[stored[i][name] for name in sorted(stored[i], key=ORDER.index)] for i in sorted(stored)]
    return {"class_name": root["class_name"], "config": root["config"]}, weights


def _for_keras_3(config: dict[str, Any], custom_objects: dict[str, Any]) -> dict[str, Any]:
    """The config of a functional model with what Keras 3 does not understand put differently."""
    layers = [_layer_for_keras_3(layer) for layer in config["layers"]]
    if any(layer["class_name"] == "Addons>MaxUnpooling2DV2" for layer in layers):
        for layer in layers:
            kind = keras.saving.get_registered_object(layer["class_name"], custom_objects)
            if kind is MaxPoolingWithArgmax2D:
                layer["config"]["encoding"] = "flat"
    return {**config, "layers": layers}


def _layer_for_keras_3(layer: dict[str, Any]) -> dict[str, Any]:
    class_name = layer.get("registered_name") or layer["class_name"]
    settings = _without_tuples(layer["config"])
    nodes = layer["inbound_nodes"]
    if class_name == "TFOpLambda":
        if settings.get("function") != "nn.max_pool_with_argmax":
            raise InputError(
                f"layer {settings['name']!r} is the TensorFlow function {settings.get('function')!r}; of functions, "
                "only tf.nn.max_pool_with_argmax can be read."
            )
        return _pooling_layer(layer["name"], nodes)
    return {"class_name": class_name, "config": settings, "name": layer["name"], "inbound_nodes": nodes}


def _pooling_layer(name: str, nodes: list[Any]) -> dict[str, Any]:
    """`MaxPoolingWithArgmax2D` for calls of `tf.nn.max_pool_with_argmax`, all of them with the same arguments."""
    arguments = _without_tuples(nodes[0][3])
    pool_size, strides = (_two(arguments[key]) for key in ("ksize", "strides"))
    if arguments.get("include_batch_in_index"):
        raise InputError(f"layer {name!r} has include_batch_in_index=True, which tensorflow-addons does not unpool.")
    layer = MaxPoolingWithArgmax2D(pool_size, strides, arguments["padding"], name=name)
    return {
        "class_name": "keras_segnet>MaxPoolingWithArgmax2D",
        "config": layer.get_config(),
        "name": name,
        "inbound_nodes": [[[*node[:3], {}]] for node in nodes],
    }


def _two(size: int | list[int]) -> tuple[int, int]:
    """Rows and columns out of what TensorFlow takes: an int, two, or four with batch and channels."""
    if isinstance(size, int):
        return size, size
    rows, columns = size[1:3] if len(size) == 4 else size
    return rows, columns


def _without_tuples(value: Any) -> Any:
    """Undoes the wrapping in which a SavedModel keeps tuples."""
    if isinstance(value, dict):
        if value.get("class_name") == "__tuple__":
            return [_without_tuples(item) for item in value["items"]]
        return {key: _without_tuples(item) for key, item in value.items()}
    return [_without_tuples(item) for item in value] if isinstance(value, list) else value


def _snake_case(name: str) -> str:
    """As Keras 2 did: "MaxUnpooling2D" gives "max_unpooling2d"."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _set_weights(model: keras.Model, weights: Weights, path: Path) -> None:
    layers = [layer for layer in model.layers if layer.weights]
    shapes = [[tuple(variable.shape) for variable in layer.weights] for layer in layers]
    if shapes != [[array.shape for array in arrays] for arrays in weights]:
        raise InputError(f"{path}: the weights in it do not fit its layers.")
    for layer, arrays in zip(layers, weights, strict=True):
        layer.set_weights(arrays)


__all__ = ["AddonsMaxUnpooling2D", "AddonsMaxUnpooling2DV2", "SizedMaxUnpooling2D", "load_addons_model"]
