"""The one room for what belongs to others: parts of Keras, TensorFlow and LiteRT that are not public.

A release of theirs may move any of it. So setup.cfg has an upper bound for each of them, tests/test_compat.py says what
has moved, and no other module of this library uses a private name.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from keras_segnet.errors import InputError

Kind = TypeVar("Kind", bound=type)

LITERT_PROFILER = Path(__file__).with_name("litert_profiler.py")
"""Program that times the ops of a .tflite file through LiteRT's C interface."""

LITERT_OF_THE_PROFILER = "2.3"
"""Release of ai-edge-litert whose structs that program knows."""


class MovedError(RuntimeError):
    """A part of another package that this library uses, though it is not public, is no longer where it was."""

    def __init__(self, package: str, part: str) -> None:
        super().__init__(
            f"{package} {version(package)} moved {part}, which keras-segnet uses; setup.cfg of keras-segnet says which "
            f"releases of {package} it knows."
        )


def version(package: str) -> str:
    """The release of a package that is installed."""
    from importlib.metadata import version  # Which takes longer to import than all else that `--help` needs of us.

    return version(package)


def part(owner: Any, name: str, package: str) -> Any:
    """A private attribute of an object.

    Raises:
        MovedError: there is none.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        kind = owner if isinstance(owner, type) else type(owner)
        raise MovedError(package, f"{kind.__name__}.{name}") from None


def calls(model: Any) -> Iterator[Any]:
    """Each call of an operation in a functional model, behind the calls that it takes its inputs from.

    A call has `operation`, `input_tensors`, `output_tensors` and `is_input`.
    """
    by_depth = part(model, "_nodes_by_depth", "keras")
    for depth in sorted(by_depth, reverse=True):
        yield from by_depth[depth]


def logits_beside(probabilities: Any) -> Any:
    """The logits that Keras's softmax keeps beside what it returns, for cross-entropy; None where it keeps none.

    Under TensorFlow and PyTorch it does, for Keras's own cross-entropies. A tensor of JAX takes no attribute.
    """
    return getattr(probabilities, "_keras_logits", None)


def registered_as_nested(kind: Kind) -> Kind:
    """Decorator of a class that Keras treats as a nested structure, as it does lists.

    Where Keras flattens an instance, it finds what its method `parts` gives.
    """
    hooks: dict[str, Any] = {
        "tree_flatten": lambda self: (self.parts(), self),
        "tree_unflatten": classmethod(lambda cls, whole, parts: whole),
        # The same under PyTorch.
        "torchtree_flatten": lambda self: (self.parts(), self),
        "torchtree_flatten_with_keys": lambda self: (list(enumerate(self.parts())), self),
        "torchtree_unflatten": classmethod(lambda cls, parts, whole: whole),
    }
    for name, hook in hooks.items():
        setattr(kind, name, hook)
    part(_module("keras.src.tree.tree_api", "keras"), "register_tree_node_class", "keras")(kind)
    return kind


def batches_seen(optimizer: Any) -> int:
    """Training steps of an optimiser, of which several make an update where it accumulates gradients."""
    return int(part(optimizer, "_iterations", "keras").numpy())


def run_through(model: Any, inputs: Any, operation: Callable[[Any], Callable[..., Any]]) -> Any:
    """Runs a functional model with another function in place of each operation.

    Args:
        model: the model.
        inputs: what it accepts.
        operation: gives for an operation of the model the function that is called for it, with its arguments.
    """
    return part(model, "_run_through_graph", "keras")(inputs, operation_fn=operation)


def maker(tensor: Any) -> Any:
    """The operation, mostly a layer, that a symbolic tensor of Keras comes from."""
    return part(tensor, "_keras_history", "keras").operation


def calls_of(operation: Any) -> list[Any]:
    """The calls of an operation, in the order in which they were made; see `calls`."""
    return list(part(operation, "_inbound_nodes", "keras"))


def variables_of(optimizer: Any) -> list[Any]:
    """The variables that an optimiser was built for."""
    return list(part(optimizer, "_trainable_variables", "keras"))


def overrides(*hooks: str) -> Callable[[Kind], Kind]:
    """Decorator of a class of Keras's that has hooks of its own.

    A hook that Keras renames would not be called any more, and nothing would say so.

    Raises:
        MovedError: Keras's class lacks one.
    """

    def check(kind: Kind) -> Kind:
        for hook in hooks:
            part(kind.__base__, hook, "keras")
        return kind

    return check


@contextlib.contextmanager
def deterministic_ops() -> Iterator[None]:
    """While active, TensorFlow's ops give the same numbers each time, and Keras lets XLA compile nothing.

    TensorFlow has a public function that switches this on for the whole process, and none that switches it off.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    config = _module("tensorflow.python.framework.config", "tensorflow")
    before = part(config, "is_op_determinism_enabled", "tensorflow")()
    config.enable_op_determinism()
    try:
        yield
    finally:
        if not before:
            part(config, "disable_op_determinism", "tensorflow")()


def read_saved_metadata(content: bytes) -> Any:
    """The message in keras_metadata.pb, which Keras 2 put into its SavedModels."""
    metadata = _module("tensorflow.python.keras.protobuf.saved_metadata_pb2", "tensorflow").SavedMetadata()
    metadata.ParseFromString(content)
    return metadata


def litert_schema() -> Any:
    """The classes that read and write the flatbuffer of a .tflite file."""
    return _module("ai_edge_litert.schema_py_generated", "ai-edge-litert")


def calibrated(converter: Any) -> bytes:
    """What TensorFlow's .tflite converter has between calibration and quantisation: floats, with ranges."""
    part(converter, "_experimental_calibrate_only", "tensorflow")
    converter._experimental_calibrate_only = True
    return bytes(converter.convert())


def quantized(model: bytes, activations: str, interface: str, kept: Collection[str]) -> bytes:
    """What TensorFlow's quantiser makes of a calibrated .tflite model.

    Args:
        model: with floats and ranges, see `calibrated`.
        activations: dtype of the maps, "int8" or "int16"; weights are int8.
        interface: dtype of input and output.
        kept: names of the tensors of which the ops that make them stay float32.
    """
    import tensorflow as tf

    quantize = part(_module("tensorflow.lite.python.convert", "tensorflow"), "mlir_quantize", "tensorflow")
    types = _module("tensorflow.compiler.mlir.lite.types_pb2", "tensorflow")
    dtype = getattr(tf, interface)
    return bytes(
        quantize(
            model,
            inference_type=part(types, f"QUANTIZED_{activations.upper()}", "tensorflow"),
            input_data_type=dtype,
            output_data_type=dtype,
            denylisted_nodes=set(kept),
        )
    )


def require_litert_of_the_profiler() -> None:
    """Raises an InputError unless the ai-edge-litert that is installed has the structs that `LITERT_PROFILER` knows."""
    found = version("ai-edge-litert")
    if found.split(".")[:2] != LITERT_OF_THE_PROFILER.split("."):
        raise InputError(
            f"the profiler of .tflite files knows ai-edge-litert {LITERT_OF_THE_PROFILER}, and {found} is installed; "
            f"pip install 'ai-edge-litert=={LITERT_OF_THE_PROFILER}.*' in an environment of its own."
        )


def when_imported(name: str, call: Callable[[], None]) -> None:
    """Calls a function as soon as a module is imported; at once if it is already."""
    if name in sys.modules:
        call()
    else:
        sys.meta_path.insert(0, _Watcher(name, call))


class _Watcher:
    """A finder of modules that leaves finding to the others and runs a function behind the module's own code."""

    def __init__(self, name: str, call: Callable[[], None]) -> None:
        self.name = name
        self.call = call
        self.asks_others = False

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != self.name or self.asks_others:
            return None
        self.asks_others = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.asks_others = False
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_call(module: ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                    self.call()

            spec.loader.exec_module = execute_and_call  # type: ignore[method-assign]
        return spec


def _module(name: str, package: str) -> Any:
    importlib.import_module(name.split(".")[0])  # Where that is missing, it is not that something moved.
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise MovedError(package, name) from None
