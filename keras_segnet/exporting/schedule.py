"""The order of a .tflite file's ops, and what has to be kept in memory between them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import flatbuffers
import numpy as np

from keras_segnet import _compat


def with_less_memory(model: bytes) -> bytes:
    """A .tflite model of one subgraph with its ops in an order that keeps less at a time, if there is one.

    TensorFlow's converter computes the codes of a pooling just before its unpooling, and so keeps the encoder's maps
    all the time between, though codes are there to spare them. Here the op runs next after which least is kept.
    """
    schema = _compat.litert_schema()
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    (graph,) = file.subgraphs
    sizes = _sizes(graph)
    order = _greedy(graph.operators, sizes)
    if _peak(order, sizes) >= _peak(graph.operators, sizes):
        return model
    graph.operators = order
    builder = flatbuffers.Builder(len(model))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _sizes(graph: Any) -> dict[int, int]:
    """Bytes of each tensor that an op makes."""
    types = {number: name for name, number in vars(_compat.litert_schema().TensorType).items()}
    sizes = {}
    for tensor in (int(each) for operator in graph.operators for each in operator.outputs):
        made = graph.tensors[tensor]
        values = 1 if made.shape is None else int(np.prod(made.shape))
        sizes[tensor] = values * np.dtype(types[made.type].lower()).itemsize
    return sizes


def _greedy(operators: list[Any], sizes: dict[int, int]) -> list[Any]:
    """The ops, of those that can run always the one after which least is kept; of several, the first."""
    waiting, uses, order = list(operators), _uses(operators, sizes), []
    made: set[int] = set()
    while waiting:
        ready = [op for op in waiting if made.issuperset(int(each) for each in op.inputs if int(each) in sizes)]
        chosen = min(ready, key=lambda op: _growth(op, uses, sizes))
        waiting.remove(chosen)
        order.append(chosen)
        uses.subtract(_inputs(chosen, sizes))
        made.update(int(each) for each in chosen.outputs)
    return order


def _growth(operator: Any, uses: Counter[int], sizes: dict[int, int]) -> int:
    """Bytes by which an op that runs now adds to what is kept."""
    freed = sum(sizes[tensor] for tensor in _inputs(operator, sizes) if uses[tensor] == 1)
    return sum(sizes[int(tensor)] for tensor in operator.outputs) - freed


def _peak(operators: list[Any], sizes: dict[int, int]) -> int:
    """The most bytes that are kept at a time, when the ops run in this order."""
    uses, kept, peak = _uses(operators, sizes), 0, 0
    for operator in operators:
        made = sum(sizes[int(tensor)] for tensor in operator.outputs)
        peak = max(peak, kept + made)
        kept += _growth(operator, uses, sizes)
        uses.subtract(_inputs(operator, sizes))
    return peak


def _uses(operators: list[Any], sizes: dict[int, int]) -> Counter[int]:
    """How many ops need each tensor; nobody but the caller needs the last."""
    return Counter(tensor for operator in operators for tensor in _inputs(operator, sizes))


def _inputs(operator: Any, sizes: dict[int, int]) -> set[int]:
    return {int(tensor) for tensor in operator.inputs} & sizes.keys()
