"""What tf2onnx leaves to do in a graph of ours: maps channels first throughout, nothing idle, names of the layers.

TensorFlow keeps a map as (batch, height, width, channels), ONNX as (batch, channels, height, width). Left alone, what
lies between a pooling and its unpooling would stay in TensorFlow's order and cost four transpositions of large maps at
each stage.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)

ELEMENTWISE = {
    *("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Greater", "Less", "Equal", "Where", "Not", "And", "Or"),
    *(
        "Relu",
        "LeakyRelu",
        "Clip",
        "Sigmoid",
        "Tanh",
        "Exp",
        "Sqrt",
        "Neg",
        "Abs",
        "Floor",
        "Reciprocal",
        "Cast",
        "Identity",
    ),
}


class _Graph:
    """Nodes in the order in which they run, constants by name, and of all else the rank where it is known."""

    def __init__(self, model: onnx.ModelProto) -> None:
        import onnx

        graph = onnx.shape_inference.infer_shapes(model).graph
        self.inputs, self.outputs = graph.input, graph.output
        self.nodes = list(graph.node)
        self.constants = {constant.name: onnx.numpy_helper.to_array(constant) for constant in graph.initializer}
        values = (*graph.value_info, *graph.input, *graph.output)
        self.ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in values}
        self.ranks |= {name: value.ndim for name, value in self.constants.items()}
        self._numbers = itertools.count()

    def new_name(self) -> str:
        return f"keras_segnet/{next(self._numbers)}"

    def new_constant(self, value: np.ndarray) -> str:
        name = self.new_name()
        self.constants[name], self.ranks[name] = np.ascontiguousarray(value).reshape(value.shape), value.ndim
        return name

    def rename(self, names: dict[str, str]) -> None:
        for node in self.nodes:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        self.constants = {names.get(name, name): value for name, value in self.constants.items()}

    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        found = defaultdict(list)
        for node in self.nodes:
            for name in node.input:
                found[name].append(node)
        return found


def tidy(model: onnx.ModelProto, layers: Collection[str]) -> onnx.ModelProto:
    """A model that computes the same, laid out as one would write it by hand.

    Args:
        model: as tf2onnx makes it of a network that was traced with its weights as constants.
        layers: names of the network's layers; nodes are named after the one that they come from, as in `conv1_1/Conv`.
    """
    import onnx

    graph = _Graph(model)
    _choose_numbers(graph)
    _lay_channels_first(graph)
    _fold_scales(graph)
    _drop_unused(graph)
    _name_after_layers(graph, layers)
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    tidied = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "keras_segnet", graph.inputs, graph.outputs, constants),
        opset_imports=[opset for opset in model.opset_import if not opset.domain],
        ir_version=model.ir_version,
    )
    return onnx.shape_inference.infer_shapes(tidied, strict_mode=True)


def _choose_numbers(graph: _Graph) -> None:
    """Replaces a constant map of one number, as a choice of a `Where`, by the number.

    The result keeps its shape, because the conditions here are comparisons of whole maps.
    """
    made_by = {name: node for node in graph.nodes for name in node.output}

    def number(name: str) -> np.ndarray | None:
        if name in graph.constants:
            values = np.unique(graph.constants[name])
            return values.reshape(()) if values.size == 1 else None
        node = made_by.get(name)
        if node is not None and node.op_type == "Transpose":
            return number(node.input[0])
        if node is not None and node.op_type == "ConstantOfShape":
            import onnx

            value = _attribute(node, "value")
            return np.zeros((), np.float32) if value is None else onnx.numpy_helper.to_array(value.t).reshape(())
        return None

    for node in graph.nodes:
        for i in (1, 2) if node.op_type == "Where" else ():
            value = number(node.input[i])
            if value is not None and graph.ranks.get(node.input[i]) != 0:
                node.input[i] = graph.new_constant(value)


def _lay_channels_first(graph: _Graph) -> None:
    """Moves transpositions to channels last behind all that can work channels first, where most meet their inverse."""
    import onnx

    first: dict[str, str] = {}  # Names of maps that lie channels last, and of the same ones lying channels first.
    lies_last = {value.name for value in graph.inputs}  # Those of them that have been made.
    nodes: list[onnx.NodeProto] = []

    def transpose(name: str, permutation: tuple[int, ...], result: str) -> None:
        nodes.append(onnx.helper.make_node("Transpose", [name], [result], perm=permutation))

    def channels_first(name: str) -> str:
        if name not in first:
            if name in graph.constants:
                first[name] = graph.new_constant(_constant_channels_first(graph.constants[name]))
            else:
                first[name] = graph.new_name()
                transpose(name, TO_FIRST, first[name])
        return first[name]

    def channels_last(name: str) -> None:
        if name in first and name not in lies_last:
            lies_last.add(name)
            transpose(first[name], TO_LAST, name)

    same: dict[str, str] = {}
    for node in graph.nodes:
        node.input[:] = [same.get(name, name) for name in node.input]
        permutation = tuple(_attribute(node, "perm").ints) if node.op_type == "Transpose" else None
        if permutation == TO_LAST:
            first[node.output[0]] = node.input[0]
        elif permutation == TO_FIRST:
            same[node.output[0]] = channels_first(node.input[0])
        elif any(name in first and name not in graph.constants for name in node.input) and _turn(
            graph, node, channels_first
        ):
            nodes.append(node)
            for i, name in enumerate(node.output):
                if graph.ranks[name] == 4:
                    first[name] = node.output[i] = graph.new_name()
        else:
            for name in node.input:
                channels_last(name)
            nodes.append(node)
            lies_last.update(node.output)
    for output in graph.outputs:
        channels_last(output.name)
    graph.nodes = nodes


def _turn(graph: _Graph, node: onnx.NodeProto, channels_first: Callable[[str], str]) -> bool:
    """Has a node work channels first, if it is one that can."""
    names = [name for name in (*node.input, *node.output) if name]
    if node.op_type == "ArgMax" and (axis := _attribute(node, "axis")) is not None and axis.i in (-1, 3):
        node.input[0], axis.i = channels_first(node.input[0]), 1
    elif any(graph.ranks.get(name) not in (0, 4) for name in names if name not in graph.constants):
        return False
    elif node.op_type in ELEMENTWISE:
        node.input[:] = [channels_first(name) if graph.ranks[name] else name for name in node.input]
    elif node.op_type in ("Split", "Concat", "Softmax") and (axis := _attribute(node, "axis")) is not None:
        maps = len(node.input) if node.op_type == "Concat" else 1
        node.input[:maps] = [channels_first(name) for name in node.input[:maps]]
        axis.i = _axis_channels_first(axis.i)
    elif node.op_type == "Slice" and len(node.input) > 3 and node.input[3] in graph.constants:
        axes = [_axis_channels_first(axis) for axis in graph.constants[node.input[3]]]
        node.input[0], node.input[3] = channels_first(node.input[0]), graph.new_constant(np.array(axes, np.int64))
    elif node.op_type == "Pad" and len(node.input) < 4 and node.input[1] in graph.constants:
        pads = graph.constants[node.input[1]].reshape(2, 4)[:, TO_FIRST].ravel()
        node.input[0], node.input[1] = channels_first(node.input[0]), graph.new_constant(pads)
    else:
        return False
    return True


def _axis_channels_first(axis: int) -> int:
    return TO_FIRST.index(int(axis) % 4)


def _constant_channels_first(value: np.ndarray) -> np.ndarray:
    if value.size == 1:
        return value.reshape(())
    return value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(TO_FIRST)


def _fold_scales(graph: _Graph) -> None:
    """Multiplies and adds what follows a convolution, as batch normalisation does, into its weights and its bias."""
    consumers, outputs = graph.consumers(), {output.name for output in graph.outputs}
    same: dict[str, str] = {}
    for convolution in [node for node in graph.nodes if node.op_type == "Conv"]:
        weights = graph.constants[convolution.input[1]]
        channels = weights.shape[0]
        bias = graph.constants[convolution.input[2]] if len(convolution.input) > 2 else np.zeros(channels, np.float32)
        result = convolution.output[0]
        while result not in outputs and len(consumers[result]) == 1:
            (node,) = consumers[result]
            (other,) = {*node.input} - {result} if len(node.input) == 2 else {""}
            constant = graph.constants.get(other)
            if node.op_type not in ("Mul", "Add") or constant is None or constant.size != channels:
                break
            constant = constant.ravel()
            if node.op_type == "Mul":
                weights, bias = weights * constant.reshape(-1, 1, 1, 1), bias * constant
            else:
                bias = bias + constant
            result = node.output[0]
        if result != convolution.output[0]:
            same[result] = convolution.output[0]
            convolution.input[1:] = [graph.new_constant(weights), graph.new_constant(bias)]
    for node in graph.nodes:
        node.input[:] = [same.get(name, name) for name in node.input]


def _drop_unused(graph: _Graph) -> None:
    used = {output.name for output in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if used.intersection(node.output):
            kept.append(node)
            used.update(node.input)
    graph.nodes = kept[::-1]
    graph.constants = {name: value for name, value in graph.constants.items() if name in used}


def _name_after_layers(graph: _Graph, layers: Collection[str]) -> None:
    """Names nodes, what they make and their constants by layer and op: `pool1/Floor`, `conv1_1/Conv/weight`."""
    names = {value.name: value.name for value in (*graph.inputs, *graph.outputs)}
    names |= {name: f"number/{value}" for name, value in graph.constants.items() if value.ndim == 0}
    taken: Counter[str] = Counter()

    def unique(name: str) -> str:
        taken[name] += 1
        return name if taken[name] == 1 else f"{name}_{taken[name]}"

    for node in graph.nodes:
        # tf2onnx gives a convolution that it puts together a number for its name, but the weights keep theirs.
        scopes = [_layer_of(name, layers) for name in (node.name, *node.input)]
        layer = next((scope for scope in scopes if scope), None)
        node.name = unique(f"{layer}/{node.op_type}" if layer else node.op_type)
        for i, name in enumerate(node.output):
            names.setdefault(name, node.name if len(node.output) == 1 else f"{node.name}:{i}")
        parts = {1: "weight", 2: "bias"} if node.op_type == "Conv" else {}
        for i, name in enumerate(node.input):
            if name in graph.constants and name not in names:
                names[name] = unique(f"{node.name}/{parts.get(i, 'constant')}")
    graph.rename(names)


def _layer_of(name: str, layers: Collection[str]) -> str | None:
    # Keras opens a layer's scope twice, to build and to call it, and TensorFlow numbers the second one.
    scope = name.split("/")[0]
    numbered = re.sub(r"_\d+$", "", scope)
    return next((candidate for candidate in (numbered, scope) if candidate in layers), None)


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    return next((attribute for attribute in node.attribute if attribute.name == name), None)
