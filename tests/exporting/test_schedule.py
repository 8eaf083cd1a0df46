"""Ops in another order: what is kept at a time is less, and nothing runs before what it needs."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_segnet.exporting.schedule import with_less_memory


def graph(sizes: list[int], ops: list[tuple[list[int], list[int]]]) -> bytes:
    """A .tflite model of tensors of so many bytes and ops that make some from others; the first is the input."""
    file, only = schema.ModelT(), schema.SubGraphT()
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.ADD
    file.version, file.operatorCodes, file.buffers, file.subgraphs = 3, [code], [schema.BufferT()], [only]
    only.tensors, only.operators, only.inputs, only.outputs = [], [], [0], [len(sizes) - 1]
    for size in sizes:
        tensor = schema.TensorT()
        tensor.shape, tensor.type = [size], schema.TensorType.INT8
        only.tensors.append(tensor)
    for inputs, outputs in ops:
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = 0, inputs, outputs
        only.operators.append(op)
    builder = flatbuffers.Builder(0)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def ops_of(model: bytes) -> list[tuple[list[int], list[int]]]:
    file: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    return [([int(i) for i in op.inputs], [int(i) for i in op.outputs]) for op in file.subgraphs[0].operators]


def peak(sizes: list[int], ops: list[tuple[list[int], list[int]]]) -> int:
    """The most bytes that are alive during any op, without the input: from an op that makes them to the last use."""
    made = {tensor: step for step, (_, outputs) in enumerate(ops) for tensor in outputs}
    used = {tensor: [step for step, (inputs, _) in enumerate(ops) if tensor in inputs] for tensor in made}
    last = {tensor: max(steps, default=len(ops)) for tensor, steps in used.items()}
    return max(sum(sizes[t] for t in made if made[t] <= step <= last[t]) for step in range(len(ops)))


def test_codes_are_computed_before_the_next_stage() -> None:
    """By hand: a map of 8, pooled to 2; then a next stage; codes of 2 from the map; the end needs both."""
    sizes = [3, 8, 2, 4, 2, 1]
    late = [([0], [1]), ([1], [2]), ([2], [3]), ([1], [4]), ([3, 4], [5])]
    early = [([0], [1]), ([1], [2]), ([1], [4]), ([2], [3]), ([3, 4], [5])]
    assert (peak(sizes, late), peak(sizes, early)) == (14, 12)
    assert ops_of(with_less_memory(graph(sizes, late))) == early
    assert ops_of(with_less_memory(graph(sizes, early))) == early


@pytest.mark.parametrize("seed", range(30))
def test_any_graph_keeps_its_ops_their_needs_and_no_more_memory(seed: int) -> None:
    random = np.random.default_rng(seed)
    sizes, ops = [1], []
    for _ in range(random.integers(1, 12)):
        inputs = sorted({int(i) for i in random.integers(0, len(sizes), random.integers(1, 4))})
        outputs = [len(sizes) + i for i in range(random.integers(1, 3))]
        sizes += [int(n) for n in random.integers(1, 50, len(outputs))]
        ops.append((inputs, outputs))
    found = ops_of(with_less_memory(graph(sizes, ops)))
    assert sorted(found) == sorted(ops)
    there = {0}
    for inputs, outputs in found:
        assert there.issuperset(inputs)
        there.update(outputs)
    assert peak(sizes, found) <= peak(sizes, ops)
