"""Every kind of segmenter does the same: verbs, batches, odd sizes, logits, class names, and errors of one line."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf

from keras_segnet import build_segnet_basic, exporting
from keras_segnet.data.images import MOST_PIXELS
from keras_segnet.errors import InputError
from keras_segnet.inference import (
    MonteCarloSegmenter,
    Segmenter,
    load_segmenter,
    open_segmenter,
    predict_each,
    predict_with_uncertainty,
)
from keras_segnet.inference.classes import classes_of
from keras_segnet.inference.segmenters import KerasSegmenter
from keras_segnet.inference.segmenters.contents import classes_and_size

SIZE = (16, 24)
KINDS = ("keras", "saved_model", "tflite", "onnx", "bayesian")


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module", params=["softmax", None])
def model(request: pytest.FixtureRequest) -> keras.Model:
    """A network with dropout, which ends in probabilities or in logits. Its logits are far from one another."""
    keras.utils.set_random_seed(1)
    network = build_segnet_basic(3, (*SIZE, 3), width=0.1, dropout=0.5, classifier_activation=request.param)
    classifier = network.get_layer("conv_classifier")
    classifier.set_weights([5 * weight for weight in classifier.get_weights()])
    return network


@pytest.fixture(scope="module")
def segmenters(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Segmenter]:
    folder = tmp_path_factory.mktemp("files")
    model.save(folder / "a.keras")
    exporting.to_saved_model(model, folder / "saved_model")
    exporting.to_tflite(model, folder / "a.tflite")
    exporting.to_onnx(model, folder / "a.onnx")
    files = {"keras": "a.keras", "saved_model": "saved_model", "tflite": "a.tflite", "onnx": "a.onnx"}
    found = {kind: load_segmenter(folder / name) for kind, name in files.items()}
    return found | {"bayesian": MonteCarloSegmenter(model, samples=3)}


def expected(kind: str, model: keras.Model, images: np.ndarray) -> np.ndarray:
    if kind == "bayesian":
        return np.concatenate([predict_with_uncertainty(model, image[None], 3).probabilities for image in images])
    outputs = model.predict(images, verbose=0)
    return outputs if np.allclose(outputs.sum(axis=-1), 1, atol=1e-3) else softmax(outputs)


@pytest.mark.parametrize("kind", KINDS)
def test_verbs(kind: str, segmenters: dict[str, Segmenter], model: keras.Model) -> None:
    segmenter = segmenters[kind]
    assert (segmenter.num_classes, segmenter.input_size) == (3, SIZE)
    images = np.random.default_rng(0).integers(0, 256, (5, *SIZE, 3), np.uint8)
    probabilities = segmenter.run(images)
    assert probabilities.dtype == np.float32 and probabilities.max() > 0.6
    np.testing.assert_allclose(probabilities, expected(kind, model, images), atol=2e-4)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-4)
    np.testing.assert_allclose(segmenter.run(images[3:4])[0], probabilities[3], atol=1e-4)  # Whatever is beside it.
    np.testing.assert_array_equal(segmenter.label(images[0]), segmenter.predict(images[0]).probabilities.argmax(-1))
    assert segmenter.label(images[0]).dtype == np.uint8
    assert (segmenter.predict(images[0]).uncertainty is None) == (kind != "bayesian")


@pytest.mark.parametrize("kind", KINDS)
def test_many_images_of_any_size_in_order(kind: str, segmenters: dict[str, Segmenter], model: keras.Model) -> None:
    random = np.random.default_rng(1)
    sizes = [SIZE, (31, 50), (7, 9), (1, 1), (16, 25), SIZE, SIZE, (8, 12), SIZE, SIZE]
    images = [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    found = predict_each(
        segmenters[kind], range(len(images)), lambda i: (images[i], i), lambda i, each: (i, each.probabilities)
    )
    count = 0
    for count, (index, probabilities) in enumerate(found, start=1):
        image, size = images[index], sizes[index]
        shrinks = size[0] > SIZE[0] and size[1] > SIZE[1]
        small = cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        own = cv2.resize(expected(kind, model, small[None])[0], size[::-1], interpolation=cv2.INTER_LINEAR)
        assert index == count - 1 and probabilities.shape == (*size, 3)
        np.testing.assert_allclose(probabilities, own, atol=5e-4)
    assert count == len(images)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_in_the_middle_comes_up(kind: str, segmenters: dict[str, Segmenter]) -> None:
    def read(number: int) -> tuple[np.ndarray, int]:
        if number == 3:
            raise InputError("broken")
        return np.zeros((*SIZE, 3), np.uint8), number

    with pytest.raises(InputError, match="broken"):
        list(predict_each(segmenters[kind], range(100), read, lambda number, _: number))


def test_class_names_beside_any_kind_of_file(tmp_path: Path) -> None:
    written = {"names": ["a", "b", "c"], "colours": [[1, 2, 3], [4, 5, 6], [7, 8, 9]], "ignored": None}
    (tmp_path / "config.json").write_text(json.dumps({"classes": written}))
    for name in ("a.keras", "saved_model", "a.tflite", "a.onnx"):
        assert classes_of(tmp_path / name, 3).names == ("a", "b", "c")


# Files of others.


def onnx_file(
    path: Path,
    taken: list[Any],
    given: list[Any],
    kind: int = onnx.TensorProto.FLOAT,
    contents: Any = None,
) -> Path:
    """Gives the images back as scores: what the file says of itself need not be true."""
    inputs = onnx.helper.make_tensor_value_info("picture", kind, taken)
    outputs = onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, given)
    node = onnx.helper.make_node("Cast", ["picture"], ["scores"], to=onnx.TensorProto.FLOAT)
    graph = onnx.helper.make_graph([node], "echo", [inputs], [outputs])
    file = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    if contents is not None:
        onnx.helper.set_model_props(file, {"keras_segnet": json.dumps(contents)})
    onnx.save(file, str(path))
    return path


@pytest.mark.parametrize("batch", [1, 2, 3, "n"])
@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.UINT8])
def test_onnx_files_of_any_batch_and_of_bytes(batch: int | str, kind: int, tmp_path: Path) -> None:
    segmenter = load_segmenter(onnx_file(tmp_path / "a.onnx", [batch, 4, 6, 3], [batch, 4, 6, 3], kind))
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), np.uint8)
    np.testing.assert_allclose(segmenter.run(images), softmax(images.astype(np.float32)), atol=1e-5)


@pytest.mark.parametrize("given", [["n", 4, 6, "c"], ["n", 4, 6, None], ["n", 4, 6, -1], [], None, {"a": (1, 4, 6, 3)}])
def test_an_output_of_no_known_number_of_classes(given: Any) -> None:
    with pytest.raises(ValueError, match="its output has shape"):
        classes_and_size(["n", 4, 6, 3], given, {})


@pytest.mark.parametrize(
    ("taken", "given", "contents", "message"),
    [
        (["n", 4, 6, 3], ["n", 4, 6, 3], {"head": {"a": 1}}, r"its head is \{'a': 1\}, not one of probabilities"),
        (["n", 4, 6, 3], ["n", 4, 6, 3], ["head"], "no JSON object"),
        (["n", 4, 6, 3], ["n", 4, 6, 3], {"head": "class_map"}, "does not say how many"),
        (["n", 4, 6, 3], ["n", 4, 6, 3], {"head": "class_map", "classes": 3}, r"not \(batch, height, width\)$"),
        (["n", 4, 6, 1], ["n", 4, 6, 1], None, r"its input has shape \('n', 4, 6, 1\), not \(batch, height, width, 3"),
        (["n", 6, 3], ["n", 6, 3], None, r"its input has shape \('n', 6, 3\), not"),
        (["n", 10**5, 10**5, 3], ["n", 10**5, 10**5, 3], None, f"at most {MOST_PIXELS:,} pixels"),
    ],
)
def test_onnx_files_that_are_no_segmentation_network(
    taken: list[Any], given: list[Any], contents: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as told:
        load_segmenter(onnx_file(tmp_path / "a.onnx", taken, given, contents=contents))
    assert "a.onnx cannot be read as" in str(told.value) and len(str(told.value).splitlines()) == 1


def saved(path: Path, *taken: tf.TensorSpec, gives: Callable[..., Any]) -> Path:
    module = tf.Module()
    module.serve = tf.function(gives, input_signature=taken)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    return path


@pytest.mark.parametrize("dtype", [tf.float32, tf.uint8])
def test_a_saved_model_of_other_names(dtype: tf.DType, tmp_path: Path) -> None:
    picture = tf.TensorSpec((None, 4, 6, 3), dtype, name="picture")
    path = saved(tmp_path / "a", picture, gives=lambda picture: {"scores": tf.cast(picture, tf.float32)})
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), np.uint8)
    np.testing.assert_allclose(load_segmenter(path).run(images), softmax(images.astype(np.float32)), atol=1e-5)


@pytest.mark.parametrize(
    ("taken", "gives", "message"),
    [
        ([(None, 4)], lambda x: {"y": x}, r"its input has shape \(None, 4\), not \(batch, height, width, 3\)"),
        ([None], lambda x: {"y": x}, "its input has shape None, not"),
        ([(None, 4, 6, 3)], lambda x: {"y": tf.reduce_mean(x, -1)}, r"its output has shape \(None, 4, 6\), not"),
        ([(None, 4, 6, 3)], lambda x: {"y": x[..., :1]}, "1 classes, not 2 to 255"),
        ([(None, 4, 6, 3)], lambda x: {"a": x, "b": x}, "takes and gives x and a, b; one tensor"),
        ([(None, 4, 6, 3), (None, 4)], lambda x, z: {"y": x}, "takes and gives x, z and y; one tensor"),
    ],
)
def test_saved_models_that_are_no_segmentation_network(
    taken: list[Any], gives: Callable[..., Any], message: str, tmp_path: Path
) -> None:
    specs = [tf.TensorSpec(shape, tf.float32, name=name) for name, shape in zip("xz", taken, strict=False)]
    with pytest.raises(InputError, match=message) as told:
        load_segmenter(saved(tmp_path / "a", *specs, gives=gives))
    assert str(tmp_path / "a") in str(told.value) and len(str(told.value).splitlines()) == 1


def network(taken: tuple[int | None, ...], outputs: Callable[[Any], Any]) -> keras.Model:
    inputs = keras.Input(taken)
    return keras.Model(inputs, outputs(inputs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: network((4, 6, 3), keras.layers.Conv2D(1, 1)), "1 classes, not 2 to 255"),
        (lambda: network((4, 6, 3), keras.layers.Conv2D(300, 1)), "300 classes, not 2 to 255"),
        (lambda: network((4, 6, 1), keras.layers.Conv2D(3, 1)), r"its input has shape \(None, 4, 6, 1\), not"),
        (lambda: network((4,), keras.layers.Dense(3)), r"its input has shape \(None, 4\), not"),
        (lambda: network((10**5, 10**5, 3), keras.layers.Conv2D(3, 1)), f"at most {MOST_PIXELS:,} pixels"),
        (lambda: network((4, 6, 3), keras.layers.Flatten()), r"its output has shape \(None, 72\), not"),
        (lambda: network((4, 6, 3), lambda x: {"a": x, "b": x}), "its output has shape"),
        (lambda: network((4, 6, 3), keras.layers.Conv2D(3, 1, strides=2)), "not a score for each class of each pixel"),
        (lambda: network((4, 6, 3), lambda x: [x, x]), "its output has shape"),
    ],
)
def test_keras_models_that_are_no_segmentation_network(
    make: Callable[[], keras.Model], message: str, tmp_path: Path
) -> None:
    model = make()
    model.save(tmp_path / "a.keras")
    for opened in (lambda: load_segmenter(tmp_path / "a.keras"), lambda: open_segmenter(model)):
        with pytest.raises(InputError, match=message) as told:
            opened()
        assert "is no segmentation network" in str(told.value) and len(str(told.value).splitlines()) == 1


def test_a_description_that_unpacks_to_any_size_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", " " * (2**26 + 1))
        archive.writestr("model.weights.h5", "")
    assert (tmp_path / "a.keras").stat().st_size < 2**20
    with pytest.raises(InputError, match=r"its config\.json unpacks to 67,108,865 bytes"):
        load_segmenter(tmp_path / "a.keras")


def test_a_network_of_any_size_takes_batches_of_neighbours_of_one_size() -> None:
    calls = []

    class Counting(KerasSegmenter):
        def run(self, images: np.ndarray) -> np.ndarray:
            calls.append(images.shape)
            return super().run(images)

    segmenter = Counting(network((None, None, 3), keras.layers.Softmax()))
    assert segmenter.input_size is None and segmenter.batch_size == 4
    sizes = [(3, 4)] * 6 + [(4, 3)] * 2 + [(3, 4)]
    images = [np.zeros((*size, 3), np.uint8) for size in sizes]
    shapes = list(predict_each(segmenter, images, lambda image: (image, None), lambda _, each: each.label.shape))
    assert shapes == sizes
    assert calls == [(4, 3, 4, 3), (2, 3, 4, 3), (2, 4, 3, 3), (1, 3, 4, 3)]
