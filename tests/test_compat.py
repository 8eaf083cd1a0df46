"""What this library uses of others though it is not public: here, where a release of theirs has moved it, it is said.

A failure that names a `MovedError` means: Keras, TensorFlow or LiteRT moved that part. Mend keras_segnet/_compat, then
raise the upper bound in setup.cfg.
"""

from __future__ import annotations

import ast
import configparser
import ctypes
import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from packaging.requirements import Requirement

import keras_segnet
from keras_segnet import _compat
from keras_segnet.benchmarking import profile
from keras_segnet.errors import InputError

PACKAGE = Path(keras_segnet.__file__).parent
SETUP = configparser.ConfigParser()
SETUP.read(PACKAGE.parent / "setup.cfg")
REQUIRED = [
    Requirement(line)
    for lines in (SETUP["options"]["install_requires"], *SETUP["options.extras_require"].values())
    for line in lines.strip().splitlines()
]


def two_branches() -> keras.Model:
    """Layers: image -> a -> (b, c) -> sum, of which c is called on b's output a second time."""
    image = keras.Input((4, 4, 3), name="image")
    a, b, c = (keras.layers.Conv2D(3, 1, name=name) for name in "abc")
    left = b(a(image))
    return keras.Model(image, keras.layers.Add(name="sum")([c(a.output), c(left)]))


def test_calls_come_behind_those_that_they_take_from() -> None:
    made = list(_compat.calls(two_branches()))
    assert sorted(call.operation.name for call in made) == ["a", "b", "c", "c", "image", "sum"]
    known: set[int] = set()
    for call in made:
        assert call.is_input or {id(tensor) for tensor in call.input_tensors} <= known
        known |= {id(tensor) for tensor in call.output_tensors}


def test_a_tensor_tells_its_layer_and_a_layer_its_calls() -> None:
    model = two_branches()
    assert _compat.maker(model.outputs[0]) is model.get_layer("sum")
    first, second = _compat.calls_of(model.get_layer("c"))
    assert _compat.maker(first.input_tensors[0]).name == "a"
    assert _compat.maker(second.input_tensors[0]).name == "b"
    assert second.output_tensors[0] is _compat.calls_of(model.get_layer("sum"))[0].input_tensors[1]


def test_an_optimizer_tells_its_variables() -> None:
    variables = [keras.Variable([1.0]), keras.Variable([2.0])]
    optimizer = keras.optimizers.SGD()
    optimizer.build(variables)
    assert [id(each) for each in _compat.variables_of(optimizer)] == [id(each) for each in variables]


def test_keras_finds_what_is_in_a_nested_class() -> None:
    @_compat.registered_as_nested
    class Pair:
        def parts(self) -> list[str]:
            return ["first", "second"]

    pair = Pair()
    assert keras.tree.map_structure(lambda each: each, [pair])[0] is pair
    assert keras.tree.flatten([Pair(), "third"]) == ["first", "second", "third"]


def test_determinism_ends_with_what_needs_it() -> None:
    from tensorflow.python.framework import config

    config.disable_op_determinism()
    with _compat.deterministic_ops():
        assert config.is_op_determinism_enabled()
        with _compat.deterministic_ops():
            pass
        assert config.is_op_determinism_enabled()
    assert not config.is_op_determinism_enabled()
    with pytest.raises(KeyError), _compat.deterministic_ops():
        raise KeyError
    assert not config.is_op_determinism_enabled()


def test_a_part_that_moved_is_named_with_its_package() -> None:
    class Optimizer:
        pass

    keras_version = importlib.metadata.version("keras")
    for use, words in (
        (lambda: _compat.calls(Optimizer()).__next__(), "Optimizer._nodes_by_depth"),
        (lambda: _compat.maker(Optimizer()), "Optimizer._keras_history"),
        (lambda: _compat.calls_of(Optimizer()), "Optimizer._inbound_nodes"),
        (lambda: _compat.variables_of(Optimizer()), "Optimizer._trainable_variables"),
        (lambda: _compat.overrides("_hook")(type("Own", (Optimizer,), {})), "Optimizer._hook"),
    ):
        with pytest.raises(_compat.MovedError) as raised:
            use()
        assert str(raised.value).startswith(f"keras {keras_version} moved {words},")


def test_what_muon_overrides_is_keras_own() -> None:
    from keras_segnet.optimizers import ConvolutionMuon

    private = [name for name in vars(ConvolutionMuon) if hasattr(keras.optimizers.Muon, name) and name[:2] != "__"]
    assert {"_should_use_adamw", "zeropower_via_newtonschulz5", "lr_adjust"} <= set(private)


def test_the_schema_reads_what_it_wrote() -> None:
    import flatbuffers

    schema = _compat.litert_schema()
    model, buffer = schema.ModelT(), schema.BufferT()
    model.description, model.buffers = "one buffer", [buffer]
    buffer.data = [1, 2, 3]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(bytes(builder.Output()), 0))
    assert (read.description, list(read.buffers[0].data)) == (b"one buffer", [1, 2, 3])
    assert schema.BuiltinOperator.MAX_POOL_2D == 17  # Of the format itself, which never renumbers.


def test_keras_2s_metadata_is_read() -> None:
    folder = Path(__file__).parent / "layers" / "addons" / "saved_model"
    metadata = _compat.read_saved_metadata((folder / "keras_metadata.pb").read_bytes())
    assert "root" in {node.node_path for node in metadata.nodes}


def test_litert_has_the_functions_that_the_profiler_calls() -> None:
    import ai_edge_litert

    (path,) = Path(ai_edge_litert.__file__).parent.glob("libLiteRt.*")
    library = ctypes.CDLL(str(path))
    text = ast.parse(_compat.LITERT_PROFILER.read_text())
    names = {node.value for node in ast.walk(text) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    functions = {name for name in names if name.startswith("LiteRt") and name.isidentifier() and name != "LiteRt"}
    assert len(functions) > 10
    for name in functions - {"LiteRtGetSignature", "LiteRtGetCompiledModel"}:  # Halves of names.
        assert hasattr(library, name), f"LiteRT moved {name}"


@pytest.mark.parametrize("found", ["2.2.9", "2.4.0", "3.3", "12.3.0"])
def test_the_profiler_refuses_a_litert_it_does_not_know(
    found: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_compat, "version", {"ai-edge-litert": found}.__getitem__)
    with pytest.raises(InputError, match=rf"knows ai-edge-litert 2\.3, and {found} is installed"):
        _compat.require_litert_of_the_profiler()
    monkeypatch.setattr(sys.modules[profile.__module__], "load_segmenter", lambda *_: FakeSegmenter())
    with pytest.raises(InputError, match=found):
        profile(tmp_path / "any.tflite")


class FakeSegmenter:
    input_size = (8, 8)

    def to_input(self, images: object) -> object:
        return images


@pytest.mark.parametrize(
    "first",
    [
        "keras, keras_segnet",
        "keras_segnet, keras",
        "keras_segnet.training.devices, keras",
        "keras_segnet.layers, keras",
    ],
)
def test_importing_both_registers_our_layers_in_either_order(first: str) -> None:
    program = f"import {first}; print(keras.saving.get_registered_object('keras_segnet>MaxUnpooling2D'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "keras_segnet.layers" in done.stdout


def test_a_module_that_is_only_looked_for_or_fails_is_waited_for_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "waited_for.py").write_text("raise RuntimeError('not yet')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    called: list[str] = []
    before = list(sys.meta_path)
    _compat.when_imported("waited_for", lambda: called.append(sys.modules["waited_for"].content))
    assert importlib.util.find_spec("waited_for") is not None
    with pytest.raises(RuntimeError, match="not yet"):
        importlib.import_module("waited_for")
    assert called == []
    (tmp_path / "waited_for.py").write_text("content = 'all of it'")
    importlib.invalidate_caches()
    importlib.import_module("waited_for")
    assert called == ["all of it"] and sys.meta_path == before
    _compat.when_imported("waited_for", lambda: called.append("at once"))
    assert called[1:] == ["at once"]
    del sys.modules["waited_for"]


@pytest.mark.parametrize("package", ["keras", "tensorflow", "ai-edge-litert"])
def test_packages_whose_private_parts_are_used_have_an_upper_bound(package: str) -> None:
    (bound,) = {found.specifier for found in REQUIRED if found.name == package}
    assert "<" in str(bound)
    assert bound.contains(importlib.metadata.version(package))


PUBLIC = ("_exit", "_asdict", "_fields", "_make", "_replace")
"""Documented as they are: `os._exit`, and what named tuples have."""


def private_uses(tree: ast.AST) -> list[str]:
    """Private attributes of what is not `self` or `cls`, and imports of private modules, in a module of ours."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = node.value
            if not (isinstance(owner, ast.Name) and owner.id in ("self", "cls", "_compat")) and node.attr not in PUBLIC:
                found.append(f"line {node.lineno}: .{node.attr}")
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith("keras_segnet"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if any(part.startswith("_") and part != "__future__" for part in parts) or name.startswith(
                ("keras.src", "tensorflow.python", "ai_edge_litert.schema")
            ):
                found.append(f"line {node.lineno}: import of {name}")
    return found


def test_private_uses_are_seen() -> None:
    for line in ("x._nodes", "import keras.src.ops", "from tensorflow.python.keras import a", "from keras import _a"):
        assert private_uses(ast.parse(line)), line
    for line in ("self._x", "from __future__ import annotations", "x.__dict__", "from keras_segnet import _compat"):
        assert not private_uses(ast.parse(line)), line


def test_only_one_room_uses_private_parts() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        if PACKAGE / "_compat" not in path.parents:
            assert not private_uses(ast.parse(path.read_text())), path.relative_to(PACKAGE)
