"""The tensor arena of a .tflite file: the memory that its maps need, when each makes room for the next."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from keras_segnet._compat import litert_schema
from keras_segnet.errors import InputError


def arena_size(path: str | os.PathLike[str]) -> int:
    """Bytes from the first to the last that the interpreter's memory planner gives to the maps of a .tflite file.

    The planner lays maps that do not live at the same time over each other, and keeps the input to the end. So this is
    what the graph asks for: the input, the output, and what has to be kept between them, as a SegNet keeps the indices
    of each stage and a U-Net whole maps. Left out are the weights, and what kernels take besides, which differs from
    kernel to kernel: it is planned here for LiteRT's reference kernels, which need next to nothing. XNNPACK, on which a
    file runs by default, plans in a place of its own.

    Args:
        path: a .tflite file of one subgraph.

    Raises:
        InputError: it is no .tflite file, or holds an op that has no reference kernel.
    """
    import flatbuffers
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    schema = litert_schema()
    try:
        file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(Path(path).read_bytes(), 0))
        for kind in file.operatorCodes:
            # The first that has a kernel. Under later ones not all are registered, though they are the same.
            kind.version = 2 if kind.builtinCode == schema.BuiltinOperator.BROADCAST_TO else 1
        builder = flatbuffers.Builder(0)
        builder.Finish(file.Pack(builder), b"TFL3")
        interpreter = Interpreter(
            model_content=bytes(builder.Output()), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        interpreter.allocate_tensors()
    except Exception as error:  # What reads the file raises errors of many kinds on damaged ones.
        raise InputError(f"the arena of {path} cannot be planned: {' '.join(str(error).split())}") from error
    maps = [interpreter.tensor(index)() for index in _maps(file)]
    starts = [view.__array_interface__["data"][0] for view in maps]
    return max(start + view.nbytes for start, view in zip(starts, maps, strict=True)) - min(starts)


def _maps(file: Any) -> list[int]:
    """The tensors of a file that depend on its input. The others, also float16 weights made float32, lie elsewhere."""
    (graph,) = file.subgraphs
    found = set(graph.inputs)
    for operator in graph.operators:
        if found.intersection(operator.inputs):
            found.update(operator.outputs)
    return sorted(found)
