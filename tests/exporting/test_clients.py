"""Programs that know nothing of this library open its files by their own interfaces, and get the model's labels."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.interpreter import Interpreter

from keras_segnet import build_segnet_basic
from keras_segnet.data import Classes
from keras_segnet.data.camvid import CLASSES as CAMVID
from keras_segnet.errors import InputError
from keras_segnet.exporting import to_saved_model, to_tflite
from keras_segnet.inference.classes import classes_of
from keras_segnet.inference.segmenters import read_contents

FILES = [
    (precision, head, "float32")
    for precision in ("float32", "float16", "int8")
    for head in ("probabilities", "class_map")
] + [("int8", "class_map", "int8"), ("int8", "class_map", "uint8")]  # fmt: skip


@pytest.fixture(scope="module", params=FILES, ids="-".join)
def exported(request, trained, streets, tmp_path_factory):
    """A file, and what it is."""
    precision, head, interface = request.param
    path = tmp_path_factory.mktemp("exported") / "model.tflite"
    options = {"precision": precision, "head": head, "interface": interface}
    to_tflite(trained, path, **options, representative_data=streets, images=streets, classes=CAMVID)
    return path, options


def with_interpreter(path):
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(array):
        interpreter.set_tensor(taken["index"], array)
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return run, taken, given


def with_compiled_model(path):
    model = CompiledModel.from_file(str(path), hardware_accel=HardwareAccelerator.CPU)
    into, out_of = model.create_input_buffers(0), model.create_output_buffers(0)
    _, taken, given = with_interpreter(path)  # Tells scales and zero points, which the compiled model does not.

    def run(array):
        into[0].write(array)
        model.run_by_index(0, into, out_of)
        return out_of[0].read(int(np.prod(given["shape"])), given["dtype"]).reshape(given["shape"])

    return run, taken, given


@pytest.mark.parametrize("client", [with_interpreter, with_compiled_model])
def test_litert_gives_the_models_labels(client, exported, trained, streets) -> None:
    path, options = exported
    run, taken, _ = client(path)
    least = {"float32": 0.999, "float16": 0.995, "int8": 0.95}[options["precision"]]
    expected = trained.predict(np.stack(streets), verbose=0)
    outputs = []
    for street in streets:
        array = street[None]  # Which uint8 files take as it is; scale 1, zero point 0.
        if options["interface"] == "int8":
            array = (array.astype(np.int16) - 128).astype(np.int8)
        outputs.append(run(array.astype(taken["dtype"]))[0])
    found = np.stack(outputs)
    if options["head"] == "class_map":
        assert found.dtype == np.int32 and found.shape == expected.shape[:3]
        assert (found == expected.argmax(axis=-1)).mean() >= least
        return
    assert found.shape == expected.shape
    assert (found.argmax(axis=-1) == expected.argmax(axis=-1)).mean() >= least
    if options["head"] == "probabilities" and options["precision"] != "int8":
        assert np.abs(found - expected).max() < {"float32": 1e-3, "float16": 0.1}[options["precision"]]


@pytest.mark.parametrize("interface", ["int8", "uint8"])
def test_eight_bit_input_is_the_image_as_it_is_whatever_it_was_calibrated_on(interface, trained, tmp_path) -> None:
    grey = np.random.default_rng(0).integers(90, 140, (3, 45, 61, 3), np.uint8)  # Far from black and from white.
    path = tmp_path / "model.tflite"
    to_tflite(trained, path, precision="int8", interface=interface, representative_data=grey, images=grey)
    _, taken, _ = with_interpreter(path)
    assert taken["quantization"] == (1.0, {"int8": -128, "uint8": 0}[interface])


# What a file says of itself.

CLASSES = Classes(("sky", "rue étroite", "car"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)), 255)


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return build_segnet_basic(3, (24, 32, 3), width=0.05)


@pytest.fixture(scope="module")
def named(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("named") / "model.tflite"
    to_tflite(small, path, classes=CLASSES)
    return path


@pytest.mark.parametrize("classes", [CLASSES, list(CLASSES.names)])
def test_class_names_are_in_the_file(classes, small, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    to_tflite(small, path, classes=classes)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert [(info.filename, info.compress_type) for info in archive.infolist()] == [
            ("labels.txt", zipfile.ZIP_STORED)
        ]
        assert archive.read("labels.txt").decode().splitlines() == list(CLASSES.names)
    (tmp_path / "config.json").write_text(
        json.dumps({"classes": {"names": ["a", "b", "c"], "colours": [[0, 0, 0]] * 3, "ignored": None}})
    )
    found = classes_of(path, 3)  # What the file says comes before what lies beside it.
    assert found.names == CLASSES.names and len(set(found.colours)) == 3
    if isinstance(classes, Classes):
        assert found == CLASSES


def test_a_file_without_names_has_numbers(small, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    to_tflite(small, path)
    assert zipfile.ZipFile(path).read("labels.txt") == b"class 0\nclass 1\nclass 2"
    assert read_contents(path) == {"head": "probabilities", "classes": 3, "precision": "float32"}
    assert classes_of(path, 3).names == ("class 0", "class 1", "class 2")


def test_as_many_names_as_classes(small, tmp_path) -> None:
    with pytest.raises(InputError, match="`classes` holds 2 names, and the model predicts 3 classes"):
        to_tflite(small, tmp_path / "model.tflite", classes=["a", "b"])
    assert not list(tmp_path.iterdir())


def test_the_same_export_twice_is_the_same_file(named, small, tmp_path) -> None:
    to_tflite(small, tmp_path / "two.tflite", classes=CLASSES)
    assert named.read_bytes() == (tmp_path / "two.tflite").read_bytes()


def test_buffers_are_aligned_as_the_schema_asks(named) -> None:
    from ai_edge_litert import schema_py_generated as schema

    content = named.read_bytes()
    file = schema.Model.GetRootAsModel(content, 0)
    filled = [file.Buffers(i) for i in range(file.BuffersLength()) if file.Buffers(i).DataLength() > 0]
    starts = [buffer.DataAsNumpy().__array_interface__["data"][0] for buffer in filled]
    first = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    assert len(starts) > 10 and not any((start - first) % 16 for start in starts)


# SavedModel.


@pytest.fixture(scope="module")
def any_size(tmp_path_factory: pytest.TempPathFactory) -> tuple[keras.Model, Path]:
    keras.utils.set_random_seed(0)
    model = build_segnet_basic(3, (None, None, 3), width=0.05)
    path = tmp_path_factory.mktemp("any_size") / "saved"
    to_saved_model(model, path, images=list(np.random.default_rng(0).integers(0, 256, (2, 29, 37, 3), np.uint8)))
    return model, path


@pytest.mark.parametrize(("endpoint", "dtype"), [("serving_default", "float32"), ("serving_uint8", "uint8")])
def test_keras_opens_a_saved_model_as_a_layer(any_size, endpoint: str, dtype: str) -> None:
    model, path = any_size
    layer = keras.layers.TFSMLayer(path, call_endpoint=endpoint)
    image = keras.Input((None, None, 3), dtype=dtype)
    outputs = layer(image)
    functional = keras.Model(image, [outputs["probabilities"], outputs["class_map"]])
    sequential = keras.Sequential([keras.Input((None, None, 3), dtype=dtype), layer])
    for shape in ((2, 29, 37), (1, 7, 5)):
        images = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8).astype(dtype)
        probabilities, class_map = functional(images)
        np.testing.assert_allclose(probabilities, model(images), atol=1e-5)
        np.testing.assert_array_equal(class_map, np.argmax(probabilities, axis=-1))
        np.testing.assert_array_equal(sequential(images)["class_map"], class_map)
