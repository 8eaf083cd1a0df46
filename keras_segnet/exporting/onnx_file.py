"""What is in an .onnx file: its constants, and what each of its tensors holds for an image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.exporting.constants import Filters, filters_of, last_place, match
from keras_segnet.exporting.layerwise import Held
from keras_segnet.inference.segmenters.onnx import OnnxSegmenter, import_for_onnx

TO_LAST = (0, 2, 3, 1)


class OnnxFile:
    """An .onnx file of `to_onnx`, opened to be looked into: maps lie channels first between its first and last node.

    Attributes:
        path: of the file.
        ops: how often each op occurs, most frequent first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._onnx = import_for_onnx("onnx")
        self._model = self._onnx.load(path)
        self._graph = self._model.graph
        self.ops: dict[str, int] = dict(Counter(node.op_type for node in self._graph.node).most_common())
        self._constants = {each.name: self._onnx.numpy_helper.to_array(each) for each in self._graph.initializer}
        self._segmenter = OnnxSegmenter(path)
        self._sessions: dict[tuple[str, ...], Any] = {}

    def segmenter(self) -> OnnxSegmenter:
        """The file at work, as others use it."""
        return self._segmenter

    def pairs(self, model: keras.Model) -> list[tuple[Filters, Filters | None]]:
        """The convolutions of a model, each with the file's."""
        return match(filters_of(model), self.filters())

    def filters(self) -> list[Filters]:
        """Its convolutions, in the order in which they run."""
        found = []
        for node in self._graph.node:
            if node.op_type in ("Conv", "ConvTranspose") and node.input[1] in self._constants:
                kernel = self._constants[node.input[1]]
                # (outputs, inputs, height, width), and of a transposed convolution inputs before outputs.
                kernel = kernel.transpose((2, 3, 1, 0) if node.op_type == "Conv" else (2, 3, 0, 1))
                bias = self._constants[node.input[2]] if len(node.input) > 2 else None
                found.append(
                    Filters(
                        node.name,
                        kernel.astype(np.float64),
                        None if bias is None else bias.astype(np.float64),
                        last_place(kernel),
                        np.ones(()) if bias is None else last_place(bias),
                        node.output[0],
                    )
                )
        return found

    def is_rectified(self, tensor: str) -> bool:
        """No op of ONNX has a ReLU in it."""
        return False

    def named(self) -> list[tuple[str, str]]:
        """No tensor: nothing is rounded between convolutions."""
        return []

    def run(self, image: np.ndarray, wanted: Sequence[str]) -> tuple[list[Held], Held]:
        """What tensors hold for an image, RGB 0..255 `(1, height, width, 3)`, and what its head gives."""
        *found, output = self._run(image, (*wanted, self._graph.output[0].name))
        turned = [each.transpose(TO_LAST) if each.ndim == 4 else each for each in found]
        return [Held(each, 0.0, -np.inf, np.inf) for each in turned], Held(output, 0.0, -np.inf, np.inf)

    def _run(self, image: np.ndarray, wanted: tuple[str, ...]) -> list[np.ndarray]:
        if wanted not in self._sessions:
            import onnxruntime

            opened = self._onnx.ModelProto()
            opened.CopyFrom(self._model)
            given = {each.name for each in opened.graph.output}
            opened.graph.output.extend(
                self._onnx.helper.make_empty_tensor_value_info(name)
                for name in dict.fromkeys(wanted)
                if name not in given
            )
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            self._sessions[wanted] = onnxruntime.InferenceSession(
                opened.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        taken = self._graph.input[0].name
        return self._sessions[wanted].run(list(wanted), {taken: image.astype(np.float32)})
