"""Exported files: what is in them, that they give the model's labels, and that the gate refuses those that do not."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from batch_statistics import settle
from keras import layers

from keras_segnet import build_segnet, build_segnet_basic
from keras_segnet.errors import InputError
from keras_segnet.exporting import FORMATS, ParityError, parity, tflite, to_saved_model, to_tflite, tracing, writing
from keras_segnet.inference import load_segmenter
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D

LEAST = {"float32": 0.999, "float16": 0.995, "int8": 0.95}
"""Share of labels that files of trained networks share with the model."""
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 45, 61, 3), np.uint8)


@pytest.fixture(scope="module")
def odd_segnet() -> keras.Model:
    keras.utils.set_random_seed(0)
    return settle(build_segnet(11, (45, 61, 3), width=0.0625))


@pytest.fixture(scope="module")
def dynamic_basic() -> keras.Model:
    keras.utils.set_random_seed(0)
    return settle(build_segnet_basic(11, (None, None, 3), width=0.0625))


def test_a_tflite_file_holds_builtin_ops_only_and_runs_in_the_stock_interpreter(
    odd_segnet: keras.Model, tmp_path: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    report = to_tflite(odd_segnet, tmp_path / "model.tflite", images=IMAGES)
    assert report.label_agreement >= 0.999 and report.largest_difference < 1e-3
    assert report.ops["CONV_2D"] == 26
    assert not any(name.startswith("Flex") or name == "CUSTOM" for name in report.ops)
    assert report.size == (tmp_path / "model.tflite").stat().st_size

    # Without any delegate the stock kernels alone have to know every op.
    interpreter = Interpreter(
        str(tmp_path / "model.tflite"), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    (details,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert details["shape"].tolist() == [1, 45, 61, 3] and details["dtype"] == np.float32
    assert details["shape_signature"].tolist() == [1, 45, 61, 3]
    for image in IMAGES:
        interpreter.set_tensor(details["index"], image[None].astype(np.float32))
        interpreter.invoke()
        np.testing.assert_allclose(
            interpreter.get_tensor(out["index"]), odd_segnet.predict(image[None], verbose=0), atol=1e-4
        )


def test_batch_normalisation_is_folded_into_the_convolutions(odd_segnet: keras.Model, tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    to_tflite(odd_segnet, tmp_path / "model.tflite", images=IMAGES)
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel((tmp_path / "model.tflite").read_bytes(), 0))
    (graph,) = file.subgraphs
    elementwise = {schema.BuiltinOperator.MUL, schema.BuiltinOperator.ADD, schema.BuiltinOperator.SUB}
    with_a_number_for_each_channel = [
        operator
        for operator in graph.operators
        if file.operatorCodes[operator.opcodeIndex].builtinCode in elementwise
        and any(
            file.buffers[graph.tensors[i].buffer].data is not None and np.prod(graph.tensors[i].shape) > 1
            for i in operator.inputs
        )
    ]
    assert len(with_a_number_for_each_channel) == 2  # Of the colours.


def test_a_model_of_any_size_needs_one_for_tflite(dynamic_basic: keras.Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="input_size"):
        to_tflite(dynamic_basic, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())
    report = to_tflite(dynamic_basic, tmp_path / "model.tflite", input_size=(30, 37), images=IMAGES)
    assert report.label_agreement >= 0.999
    assert load_segmenter(tmp_path / "model.tflite").input_size == (30, 37)


def test_a_saved_model_runs_where_keras_cannot_be_imported_at_any_size_and_batch(
    dynamic_basic: keras.Model, tmp_path: Path
) -> None:
    report = to_saved_model(dynamic_basic, tmp_path / "saved", images=[*IMAGES, IMAGES[0][:30]])
    assert report.label_agreement == 1.0
    np.save(tmp_path / "images.npy", IMAGES)
    program = f"""
import sys, json, numpy as np
sys.modules["keras"] = sys.modules["keras_segnet"] = None  # Importing them fails.
import tensorflow as tf
model = tf.saved_model.load({str(tmp_path / "saved")!r})
images = np.load({str(tmp_path / "images.npy")!r})
found = model.signatures["serving_default"](image=tf.constant(images, tf.float32))
same = model.signatures["serving_uint8"](image=tf.constant(images))
np.save({str(tmp_path / "probabilities.npy")!r}, found["probabilities"])
assert (found["class_map"].numpy() == found["probabilities"].numpy().argmax(-1)).all()
assert (same["probabilities"].numpy() == found["probabilities"].numpy()).all()
small = model.signatures["serving_default"](image=tf.zeros((1, 7, 5, 3)))
print(json.dumps(small["class_map"].shape.as_list()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [1, 7, 5]
    expected = dynamic_basic.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), expected, atol=1e-5)


def test_what_is_there_already_is_left_alone(odd_segnet: keras.Model, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_text("precious")
    (tmp_path / "saved").mkdir()
    for export, name in ((to_tflite, "model.tflite"), (to_saved_model, "saved")):
        with pytest.raises(InputError, match="exists already"):
            export(odd_segnet, tmp_path / name)
        with pytest.raises(InputError, match="not a folder"):
            export(odd_segnet, tmp_path / "nowhere" / name)
    assert (tmp_path / "model.tflite").read_text() == "precious"
    assert not list((tmp_path / "saved").iterdir())


def plant_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpooling writes one pixel to the right."""
    import tensorflow as tf

    honest = MaxUnpooling2D.call
    monkeypatch.setattr(MaxUnpooling2D, "call", lambda *a, **k: tf.roll(honest(*a, **k), 1, axis=2))


def plant_wrong_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpooling always writes into the first place of a window."""
    honest = MaxUnpooling2D.call
    monkeypatch.setattr(
        MaxUnpooling2D, "call", lambda self, u, i, like=None: honest(self, u, keras.ops.zeros_like(i), like=like)
    )


def plant_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = MaxUnpooling2D.call
    monkeypatch.setattr(MaxUnpooling2D, "call", lambda *a, **k: honest(*a, **k) * float("nan"))


def plant_crop_on_the_wrong_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """An odd size is cut off at the start instead of the end."""
    from keras_segnet.layers import windows

    honest = windows.fit

    def wrong(x: object, height: int, width: int, top: int, left: int, fill: float) -> object:
        return honest(x, height, width, top - (x.shape[1] > height), left - (x.shape[2] > width), fill)  # type: ignore[attr-defined]

    monkeypatch.setattr(windows, "fit", wrong)


def plant_last_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of equal values the last one wins, so what is unpooled into a window of zeros lands in its last place."""
    from keras_segnet.layers import arithmetic_encoding

    pool, gather = arithmetic_encoding.max_pool, arithmetic_encoding._gather

    def wrong(*arguments: object) -> tuple[object, object]:
        pooled, codes = pool(*arguments)  # type: ignore[arg-type]
        return pooled, 3 - codes

    monkeypatch.setattr(arithmetic_encoding, "max_pool", wrong)
    monkeypatch.setattr(
        arithmetic_encoding, "_gather", lambda covered, size, place: gather(covered, size, (1 - place[0], 1 - place[1]))
    )


def plant_indices_of_the_stage_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every unpooling but the first takes the indices of the one before it, stretched to its own size."""
    honest, seen = MaxUnpooling2D.call, []

    def wrong(self: MaxUnpooling2D, updates: object, indices: object, like: object = None) -> object:
        other = seen[-1] if seen else indices
        seen.append(indices)
        for axis, size in enumerate(indices.shape[1:], start=1):  # type: ignore[attr-defined]
            other = keras.ops.take(other, np.arange(size) * other.shape[axis] // size, axis=axis)  # type: ignore[attr-defined]
        return honest(self, updates, other, like=like)

    monkeypatch.setattr(MaxUnpooling2D, "call", wrong)


def plant_permuted_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two filters of one convolution have changed places."""
    honest = tracing.without_softmax

    def wrong(model: keras.Model) -> keras.Model:
        other = keras.models.clone_model(honest(model))
        other.set_weights(model.get_weights())
        kernel, bias = other.get_layer("conv1_2").get_weights()
        swapped = [1, 0, *range(2, len(bias))]
        other.get_layer("conv1_2").set_weights([kernel[..., swapped], bias[swapped]])
        return other

    monkeypatch.setattr(tracing, "without_softmax", wrong)


PLANTS = [
    plant_shift,
    plant_wrong_place,
    plant_last_maximum,
    plant_indices_of_the_stage_before,
    plant_permuted_weights,
    plant_crop_on_the_wrong_side,
    plant_nan,
]


@pytest.mark.parametrize("plant", PLANTS)
def test_the_gate_refuses_a_faulty_graph_and_leaves_no_file(
    plant: Callable[[pytest.MonkeyPatch], None],
    odd_segnet: keras.Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest_converter = tflite._converter
    odd_segnet.predict(IMAGES[:1], verbose=0)  # The reference is traced before the fault is planted.

    def converter(*arguments: object) -> object:
        with monkeypatch.context() as patch:
            plant(patch)
            return honest_converter(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tflite, "_converter", converter)
    with pytest.raises(ParityError, match="was not written") as refusal:
        to_tflite(odd_segnet, tmp_path / "model.tflite", images=IMAGES)
    assert not refusal.value.report.passed
    assert not list(tmp_path.iterdir())


def test_the_command_ends_with_status_1_when_the_gate_fails(
    odd_segnet: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from keras_segnet.cli.main import run

    odd_segnet.save(tmp_path / "model.keras")
    monkeypatch.setitem(parity.BOUNDS, "float32", parity.BOUNDS["float32"]._replace(labels=-1.0))
    for kind, form in FORMATS.items():
        if form.open is None:
            continue  # Is made of files of other formats, and needs images to measure on.
        output = tmp_path / f"out{form.suffix}"
        assert run(["export", str(tmp_path / "model.keras"), "--format", kind, "--output", str(output)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert str(output) in line and "was not written" in line
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_an_interrupted_export_leaves_nothing(
    odd_segnet: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "judge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        to_tflite(odd_segnet, tmp_path / "model.tflite", images=IMAGES)
    assert not list(tmp_path.iterdir())


# Precisions and heads.


def test_float16_halves_the_file_and_keeps_the_labels(trained, streets, tmp_path) -> None:
    whole = to_tflite(trained, tmp_path / "whole.tflite", images=streets)
    half = to_tflite(trained, tmp_path / "half.tflite", precision="float16", images=streets)
    assert half.size < 0.6 * whole.size
    assert half.label_agreement >= 0.995


@pytest.mark.parametrize("interface", ["float32", "int8", "uint8"])
def test_int8_computes_in_integers_and_keeps_the_labels(trained, streets, interface, tmp_path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    path = tmp_path / "small.tflite"
    seen: list[int] = []

    def progress(items, total, _):
        for item in items:
            seen.append(total)
            yield item

    report = to_tflite(
        trained,
        path,
        precision="int8",
        interface=interface,
        representative_data=streets,
        images=streets,
        progress=progress,
    )
    assert report.label_agreement >= 0.95
    assert len(seen) >= 2 * len(streets)  # Calibration and comparison both show where they are.
    interpreter = Interpreter(str(path), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert np.dtype(taken["dtype"]).name == np.dtype(given["dtype"]).name == interface
    floats = [d["name"] for d in interpreter.get_tensor_details() if d["dtype"] == np.float32]
    # The interface alone may be float.
    assert len(floats) == (2 if interface == "float32" else 0), floats


def plant_steps_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The differences that find the maximum no longer saturate."""
    honest = tflite.int8_steps_of_pooling
    monkeypatch.setattr(
        tflite, "int8_steps_of_pooling", lambda *a: {name: 64 * step for name, step in honest(*a).items()}
    )


def plant_wrong_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output of one convolution has a scale too small for its values, which saturate."""
    honest = tflite.with_metadata

    def wrong(content: bytes, *more: object) -> bytes:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(honest(content, *more), 0))
        (graph,) = file.subgraphs
        convolutions = [
            operator
            for operator in graph.operators
            if file.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D
        ]
        quantization = graph.tensors[convolutions[len(convolutions) // 2].outputs[0]].quantization
        quantization.scale = 0.1 * quantization.scale
        builder = flatbuffers.Builder(len(content))
        builder.Finish(file.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    monkeypatch.setattr(tflite, "with_metadata", wrong)


@pytest.mark.parametrize("plant", [plant_steps_too_large, plant_wrong_scale])
def test_the_gate_refuses_a_faulty_int8_graph(plant, trained, streets, tmp_path, monkeypatch) -> None:
    plant(monkeypatch)
    with pytest.raises(ParityError, match="was not written"):
        to_tflite(trained, tmp_path / "i.tflite", precision="int8", representative_data=streets, images=streets)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
@pytest.mark.parametrize("head", ["logits", "class_map"])
def test_heads_give_the_models_labels(trained, streets, head, precision, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    report = to_tflite(trained, path, precision=precision, head=head, images=streets, representative_data=streets)
    assert report.label_agreement >= LEAST[precision]
    assert "SOFTMAX" not in report.ops
    assert report.ops.get("ARG_MAX", 0) == (head == "class_map")
    segmenter = load_segmenter(path)
    assert segmenter.num_classes == 11 and segmenter.input_size == (45, 61)
    expected = trained.predict(streets[0][None], verbose=0)[0].argmax(axis=-1)
    assert (segmenter.label(streets[0]) == expected).mean() >= LEAST[precision]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int4"}, "`precision` must be float32, float16, int8 or int16x8, not 'int4'"),
        ({"head": "labels"}, "`head` must be probabilities, logits or class_map, not 'labels'"),
        ({"precision": "int8"}, "needs `representative_data`"),
        ({"precision": "int8", "representative_data": []}, "needs `representative_data`"),
        ({"precision": "int8", "representative_data": iter(())}, "needs `representative_data`"),
        ({"precision": "int8", "representative_data": IMAGES[:0]}, "needs `representative_data`"),
        ({"interface": "int8"}, "goes with `precision` 'int8'"),
        (
            {"precision": "int8", "interface": "int16", "representative_data": [IMAGES[0]]},
            "`interface` must be float32, int8 or uint8",
        ),
    ],
)
def test_options_that_do_not_go_are_refused(odd_segnet, options, message, tmp_path) -> None:
    with pytest.raises(InputError, match=message):
        to_tflite(odd_segnet, tmp_path / "model.tflite", images=IMAGES, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("gain", [1 / 4096, 64, 4096])
def test_int8_does_not_depend_on_how_large_the_values_are(gain, streets, tmp_path):
    """A kernel times a gain gives the file's output times the gain: eight bits know ratios only."""
    keras.utils.set_random_seed(0)
    image = keras.Input((45, 61, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    pooled, indices = MaxPoolingWithArgmax2D(name="pool1")(x)
    kernel = layers.Conv2D(8, 3, padding="same", name="gained")
    x = MaxUnpooling2D(name="upsample1")(kernel(pooled), indices, like=x)
    model = keras.Model(image, layers.Conv2D(4, 3, padding="same", activation="softmax", name="classifier")(x))
    found = []
    for factor in (1.0, gain):
        kernel.set_weights([weight * factor for weight in kernel.get_weights()])
        classifier = model.get_layer("classifier")
        classifier.set_weights([weight / factor for weight in classifier.get_weights()])
        path = tmp_path / f"{factor}.tflite"
        to_tflite(model, path, precision="int8", head="logits", representative_data=streets)
        found.append(load_segmenter(path).infer(streets[0][None].astype(np.float32)))
    np.testing.assert_allclose(found[1], found[0], atol=1e-3 * np.abs(found[0]).max())
