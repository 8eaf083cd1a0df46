"""What is in a .tflite file: its constants, and what each of its tensors holds for an image."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet._compat import litert_schema
from keras_segnet.exporting.constants import Filters, filters_of, last_place, match
from keras_segnet.exporting.layerwise import Held
from keras_segnet.inference.segmenters.tflite import TFLiteSegmenter, open_tflite, quantize

CONVOLUTIONS = {"CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "TRANSPOSE_CONV": (1, 3)}
"""Ops that hold filters, with the positions of kernel and bias among their inputs."""


def open_tflite_file(path: Path) -> TFLiteFile:
    """Opens a .tflite file, whoever wrote it: in another process first, which a damaged file may end."""
    open_tflite(path)
    return TFLiteFile(path)


class TFLiteFile:
    """A .tflite file opened to be looked into.

    Attributes:
        path: of the file.
        ops: how often each op occurs, most frequent first; a custom op by its own name.
    """

    def __init__(self, path: Path) -> None:
        schema = litert_schema()
        self.path = path
        self._interpreter: Any = None
        self._file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
        self._graph = self._file.subgraphs[0]
        names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
        kinds = []
        for code in self._file.operatorCodes:
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            kinds.append(code.customCode.decode() if code.customCode else names[number])
        self._kinds = [kinds[operator.opcodeIndex] for operator in self._graph.operators]
        every = Counter(kinds[operator.opcodeIndex] for graph in self._file.subgraphs for operator in graph.operators)
        self.ops: dict[str, int] = dict(every.most_common())
        self._made_by = {
            int(tensor): (kind, operator)
            for kind, operator in zip(self._kinds, self._graph.operators, strict=True)
            for tensor in operator.outputs
        }

        uses = Counter(int(tensor) for operator in self._graph.operators for tensor in operator.inputs)
        # A float tensor that only goes on as integers is held as these: what they cannot hold is not seen by others.
        self._taken_as = {
            int(operator.inputs[0]): int(operator.outputs[0])
            for kind, operator in self._made_by.values()
            if kind == "QUANTIZE" and uses[int(operator.inputs[0])] == 1
        }

    def segmenter(self) -> TFLiteSegmenter:
        """The file at work, as others use it."""
        return TFLiteSegmenter(self.path)

    def pairs(self, model: keras.Model) -> list[tuple[Filters, Filters | None]]:
        """The convolutions of a model, each with the file's."""
        return match(filters_of(model), self.filters())

    def filters(self) -> list[Filters]:
        """Its convolutions, in the order in which they run."""
        found = []
        for kind, operator in zip(self._kinds, self._graph.operators, strict=True):
            if kind in CONVOLUTIONS:
                kernel, bias = (_input(operator, place) for place in CONVOLUTIONS[kind])
                if self._constant(kernel) is not None:
                    found.append(self._filters(kind, operator, kernel, bias))
        return found

    def _filters(self, kind: str, operator: Any, kernel: int, bias: int) -> Filters:
        values, unit = self._dequantized(kernel)
        taken = self._scale(_input(operator, 2 if kind == "TRANSPOSE_CONV" else 0))
        biases, bias_unit = (None, np.ones(())) if self._constant(bias) is None else self._dequantized(bias)
        if biases is not None and taken is not None:
            # Kernels take the integers of a bias for multiples of this, whatever scale is written beside them.
            bias_unit = taken * unit.reshape(-1)
            stored = self._constant(bias)
            assert stored is not None
            biases = stored * bias_unit
        if kind == "DEPTHWISE_CONV_2D":  # (1, height, width, outputs)
            turn = (1, 2, 0, 3)
        else:  # (outputs, height, width, inputs)
            turn = (1, 2, 3, 0)
        return Filters(
            self.name(kernel),
            values.transpose(turn),
            biases,
            np.broadcast_to(unit, values.shape).transpose(turn),
            bias_unit,
            int(operator.outputs[0]),
        )

    def name(self, tensor: int) -> str:
        return self._graph.tensors[tensor].name.decode()

    def is_rectified(self, tensor: int) -> bool:
        """Whether a ReLU is part of the op that makes a tensor."""
        _, operator = self._made_by[tensor]
        return bool(getattr(operator.builtinOptions, "fusedActivationFunction", 0))

    def named(self) -> list[tuple[int, str]]:
        """Each tensor that an op makes, in order, with its name."""
        return [(int(tensor), self.name(tensor)) for operator in self._graph.operators for tensor in operator.outputs]

    def run(self, image: np.ndarray, wanted: Sequence[int]) -> tuple[list[Held], Held]:
        """What tensors hold for an image, RGB 0..255 `(1, height, width, 3)`, and what its head gives."""
        if self._interpreter is None:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType

            # Delegates compute several ops at once and keep nothing of what is between them.
            self._interpreter = Interpreter(
                str(self.path),
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
                num_threads=os.cpu_count(),
            )
            self._interpreter.allocate_tensors()
        (taken,) = self._interpreter.get_input_details()
        self._interpreter.set_tensor(taken["index"], quantize(image, taken))
        self._interpreter.invoke()
        held = [self._held(self._taken_as.get(tensor, tensor)) for tensor in wanted]
        return held, self._held(self._source(int(self._graph.outputs[0])))

    def _held(self, tensor: int) -> Held:
        stored = self._interpreter.get_tensor(tensor)
        scale = self._scale(tensor)
        if scale is None:
            return Held(stored if stored.dtype.kind == "i" else stored.astype(np.float32), 0.0, -np.inf, np.inf)
        zero = int(self._graph.tensors[tensor].quantization.zeroPoint[0])
        limits = np.iinfo(stored.dtype)
        values = (stored.astype(np.float32) - zero) * np.float32(scale)
        return Held(values, scale, (limits.min - zero) * scale, (limits.max - zero) * scale)

    def _source(self, tensor: int) -> int:
        """A tensor, or what it is dequantised from."""
        kind, operator = self._made_by.get(tensor, ("", None))
        return int(operator.inputs[0]) if kind == "DEQUANTIZE" else tensor

    def _constant(self, tensor: int) -> np.ndarray | None:
        """A constant as it is stored, or None."""
        if tensor < 0:
            return None
        schema = litert_schema()
        stored = self._graph.tensors[self._source(tensor)]
        data = self._file.buffers[stored.buffer].data
        kind = {
            schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16,
            schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32, schema.TensorType.INT64: np.int64,
        }.get(stored.type)  # fmt: skip
        if data is None or kind is None or len(data) == 0:
            return None
        return np.frombuffer(bytes(data), kind).reshape([] if stored.shape is None else stored.shape)

    def _dequantized(self, tensor: int) -> tuple[np.ndarray, np.ndarray]:
        """The values of a constant, float64, and the unit of each."""
        values = self._constant(tensor)
        assert values is not None
        quantization = self._graph.tensors[self._source(tensor)].quantization
        if values.dtype.kind == "f":
            return values.astype(np.float64), last_place(values)
        shape = [1] * values.ndim
        shape[quantization.quantizedDimension if len(quantization.scale) > 1 else 0] = -1
        scale = np.asarray(quantization.scale, np.float64).reshape(shape)
        return (values - np.asarray(quantization.zeroPoint, np.float64).reshape(shape)) * scale, scale

    def _scale(self, tensor: int) -> float | None:
        quantization = self._graph.tensors[tensor].quantization
        has_scale = quantization is not None and quantization.scale is not None and len(quantization.scale)
        return float(quantization.scale[0]) if has_scale else None


def _input(operator: Any, place: int) -> int:
    return int(operator.inputs[place]) if len(operator.inputs) > place else -1
