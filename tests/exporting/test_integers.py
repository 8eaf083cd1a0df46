"""Files of integers: int16x8, layers that are kept in float32, and what is said of a file that loses too much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers
from PIL import Image

from keras_segnet.cli.main import run
from keras_segnet.errors import InputError
from keras_segnet.exporting import ParityError, check_parity, export, to_tflite
from keras_segnet.inference import load_segmenter
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.streets import draw_street_scene

SIZE = (15, 21)
STREETS = [draw_street_scene(seed, SIZE)[0] for seed in range(4)]
FLOAT32, INT8, INT16 = (getattr(schema.TensorType, name) for name in ("FLOAT32", "INT8", "INT16"))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """One stage of a SegNet whose kernels have integers of eight bits for values, so that rounding leaves them alone.

    One of the four channels of `wide` is sixteen times as large as the others, and `classifier` divides it again.
    """
    image = keras.Input((*SIZE, 3), name="image")
    before = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv1")(layers.Rescaling(1 / 64, -2)(image))
    x, indices = MaxPoolingWithArgmax2D(name="pool1")(before)
    x = MaxUnpooling2D(name="upsample1")(layers.Conv2D(8, 3, padding="same", name="conv2")(x), indices, like=before)
    x = layers.Conv2D(4, 1, name="wide")(x)
    model = keras.Model(image, layers.Conv2D(4, 1, activation="softmax", name="classifier")(x), name="uneven")
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            kernel = random.integers(-127, 128, layer.kernel.shape)
            if layer.name == "classifier":
                kernel[:, :, 0] = 16 * (kernel[:, :, 0] // 16)
            kernel[0, 0, 1] = 127
            inputs = np.prod(kernel.shape[:3])
            layer.set_weights([kernel / (127 * np.sqrt(inputs / 3)), random.normal(0, 0.1, layer.bias.shape)])
    gains = np.array([16.0, 1, 1, 1])
    kernel, bias = model.get_layer("wide").get_weights()
    model.get_layer("wide").set_weights([kernel * gains, bias * gains])
    kernel, bias = model.get_layer("classifier").get_weights()
    model.get_layer("classifier").set_weights([4 * kernel / gains[:, None], bias])
    return model


@pytest.fixture(scope="module")
def folder(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Streets, and what the model says of them for labels: it scores 100 %."""
    path = tmp_path_factory.mktemp("data")
    for kind in ("images", "labels"):
        (path / kind).mkdir()
    for number, image in enumerate(STREETS):
        label = model.predict(image[None], verbose=0)[0].argmax(axis=-1).astype(np.uint8)
        Image.fromarray(image).save(path / "images" / f"{number}.png")
        Image.fromarray(label).save(path / "labels" / f"{number}.png")
    for split in ("train", "val", "test"):
        (path / f"{split}.txt").write_text("0\n1\n2\n3\n")
    return path


def ops(path: Path) -> dict[str, list[Any]]:
    """Of each convolution, by the shape of its kernel: dtypes of its input, kernel and output, and zero points."""
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    (graph,) = file.subgraphs
    found = {}
    for operator in graph.operators:
        if file.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D:
            three = [graph.tensors[index] for index in (*operator.inputs[:2], operator.outputs[0])]
            points = [0 if each.type == FLOAT32 else int(each.quantization.zeroPoint[0]) for each in three]
            found[tuple(int(n) for n in three[1].shape)] = [[each.type for each in three], points, three[1], file]
    return found


SHAPES = {"conv1": (8, 3, 3, 3), "conv2": (8, 3, 3, 8), "wide": (4, 1, 1, 8), "classifier": (4, 1, 1, 4)}


@pytest.mark.parametrize("head", ["probabilities", "logits", "class_map"])
@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_only_the_layers_that_are_named_stay_float32(model, head, precision, tmp_path) -> None:
    """The last one too, whose name the converter gives up for that of the output."""
    path, kept = tmp_path / "model.tflite", ["conv2", "classifier"]
    to_tflite(model, path, precision=precision, head=head, representative_data=STREETS, keep_float=kept)
    found = ops(path)
    assert len(found) == len(SHAPES)
    for name, shape in SHAPES.items():
        types, _, kernel, file = found[shape]
        if name in kept:
            assert types == [FLOAT32] * 3
            stored = np.frombuffer(bytes(file.buffers[kernel.buffer].data), np.float32).reshape(shape)
            np.testing.assert_array_equal(stored.transpose(1, 2, 3, 0), model.get_layer(name).get_weights()[0])
        else:
            assert types == [INT8 if precision == "int8" else INT16, INT8, INT8 if precision == "int8" else INT16]
    assert check_parity(path, model).precision == precision


def test_sixteen_bits_are_as_exact_as_256_times_as_many_steps_allow(model, tmp_path) -> None:
    """Kernels lose nothing in this model, so all of the error is that of activations."""
    errors = {}
    expected = np.log(model.predict(np.stack(STREETS), verbose=0))
    expected -= expected.mean(axis=-1, keepdims=True)
    for precision in ("int8", "int16x8"):
        path = tmp_path / f"{precision}.tflite"
        to_tflite(model, path, precision=precision, head="logits", representative_data=STREETS)
        file = load_segmenter(path)
        found = file.infer(file.to_input(np.stack(STREETS)))
        errors[precision] = np.abs(found - found.mean(axis=-1, keepdims=True) - expected).mean()
        if precision == "int16x8":
            for types, points, *_ in ops(path).values():
                assert types == [INT16, INT8, INT16] and points == [0, 0, 0]
    assert errors["int16x8"] < errors["int8"] / 50


def test_what_loses_says_where_and_what_loses_less(model, folder, tmp_path) -> None:
    exported = export(model, precision="int8", output=tmp_path / "model.tflite", data=folder)
    assert exported.scores["Keras"].mean_iou == 1.0
    assert exported.scores["int8"].mean_iou < 0.99
    assert next(iter(exported.report.rounding)) == "wide"
    (partly,) = [name for name in exported.scores if name.startswith("int8, ")]
    assert "wide" in partly and "classifier" in partly  # Which would round what `wide` gives.
    for name in (partly, "int16x8"):
        assert exported.scores[name].mean_iou > 0.5 + 0.5 * exported.scores["int8"].mean_iou
        assert exported.reports[name].size > 0 and exported.reports[name].latency > 0
    shown = " ".join(str(exported).split())
    for words in ("What int8 costs each layer by itself", "size, MB", "here, ms", "equal labels, %", partly[:12]):
        assert words in shown


def test_what_loses_little_is_not_examined(model, folder, tmp_path) -> None:
    exported = export(model, precision="int16x8", output=tmp_path / "model.tflite", data=folder)
    assert list(exported.scores) == ["Keras", "float32", "float16", "int16x8"]
    assert "costs each layer" not in str(exported)


def test_what_is_refused_says_the_same_before_the_error(model, folder, tmp_path, monkeypatch, capsys) -> None:
    from keras_segnet.exporting import parity

    model.save(tmp_path / "model.keras")
    monkeypatch.setitem(parity.BOUNDS, "int8", parity.BOUNDS["int8"]._replace(steps=0.0))
    command = [
        "export",
        str(tmp_path / "model.keras"),
        "--format",
        "tflite",
        "--precision",
        "int8",
        "--data",
        str(folder),
    ]
    assert run([*command, "--output", str(tmp_path / "model.tflite")]) == 1
    captured = capsys.readouterr()
    assert "What int8 costs each layer by itself" in captured.out and "int16x8" in captured.out
    (line,) = captured.err.splitlines()
    assert "was not written" in line
    assert not (tmp_path / "model.tflite").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8", "keep_float": ["conv3"]}, "`keep_float` must be .*not 'conv3'; did you mean conv"),
        ({"precision": "int8", "keep_float": ["pool1"]}, "`keep_float` must be .*not 'pool1'"),
        ({"precision": "int8", "keep_float": ["upsample1"]}, "`keep_float` must be .*not 'upsample1'"),
        ({"precision": "int8", "keep_float": ["image"]}, "`keep_float` image does not compute by itself"),
        ({"precision": "float16", "keep_float": ["conv1"]}, "`keep_float` goes with `precision` 'int8' or 'int16x8'"),
        ({"precision": "int16x8", "interface": "int8"}, "`interface` 'int8' goes with `precision` 'int8'"),
    ],
)
def test_options_that_do_not_go_are_refused(model, options, message, tmp_path) -> None:
    with pytest.raises(InputError, match=message):
        to_tflite(model, tmp_path / "model.tflite", representative_data=STREETS, **options)
    assert not list(tmp_path.iterdir())


def test_a_faulty_int16x8_file_is_refused(model, tmp_path) -> None:
    to_tflite(model, tmp_path / "model.tflite", precision="int16x8", representative_data=STREETS)
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    kernel, bias = model.get_layer("conv2").get_weights()
    other.get_layer("conv2").set_weights([1.05 * kernel, bias])
    with pytest.raises(ParityError, match="constants"):
        check_parity(tmp_path / "model.tflite", other)
