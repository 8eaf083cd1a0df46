"""The gate: it refuses each planted fault in each precision, and says which look found it; it accepts what is right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tiny_network
from batch_statistics import settle

from keras_segnet import _compat
from keras_segnet.errors import InputError
from keras_segnet.exporting import ParityError, check_parity, to_onnx, to_saved_model, to_tflite, writing
from keras_segnet.exporting import export as export_model
from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import blocks
from keras_segnet.streets import draw_street_scene

SIZE = (23, 31)
STREETS = [draw_street_scene(seed, SIZE)[0] for seed in range(20, 28)]
PRECISIONS = ("float32", "float16", "int8")


def tiny(dropout: float = 0.0) -> keras.Model:
    """One stage of a SegNet."""
    image = blocks.image_input((*SIZE, 3))
    scores = tiny_network.wire(blocks.normalize_colours(image, "imagenet"), 4, 1.0, dropout=dropout)
    return keras.Model(image, blocks.probabilities(scores, "softmax"), name="tiny")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    found = settle(tiny(dropout=0.2))
    for layer in found.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(np.random.default_rng(0).normal(0, 0.3, layer.bias.shape))
    return found


def changed(model: keras.Model, name: str, change: Callable[[list[np.ndarray]], list[np.ndarray]]) -> keras.Model:
    """A copy of which one layer's weights are others."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    copy.get_layer(name).set_weights(change([values.copy() for values in model.get_layer(name).get_weights()]))
    return copy


def with_config(model: keras.Model, name: str, **config: Any) -> keras.Model:
    """A copy of which one layer is configured in another way."""

    def clone(layer: keras.Layer) -> keras.Layer:
        return type(layer).from_config(layer.get_config() | (config if layer.name == name else {}))

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def around(model: keras.Model, before: Any = None, after: Any = None) -> keras.Model:
    """The model with something done to the image before it, or to its logits behind it."""
    from keras_segnet.exporting.heads import without_softmax

    image = keras.Input(model.input_shape[1:], name="image")
    x = image if before is None else before(image)
    logits = without_softmax(model)
    weights = {layer.name: layer.get_weights() for layer in logits.layers}
    # Not the model as a layer: int8 needs to see the poolings.
    y = _compat.run_through(logits, x, lambda layer: type(layer).from_config(layer.get_config()))
    copy = keras.Model(image, keras.layers.Softmax()(y if after is None else after(y)))
    for layer in copy.layers:
        if weights.get(layer.name):
            layer.set_weights(weights[layer.name])
    return copy


def dead(weights: list[np.ndarray]) -> list[np.ndarray]:
    weights[0][..., 0] = 0
    return weights


FAULTS: dict[str, Callable[[keras.Model], keras.Model]] = {
    "two classes swapped": lambda m: changed(m, "conv_classifier", lambda w: [v[..., [0, 1, 3, 2]] for v in w]),
    "bias zeroed": lambda m: changed(m, "conv2", lambda w: [w[0], 0 * w[1]]),
    "kernel x 1.05": lambda m: changed(m, "conv1", lambda w: [1.05 * w[0], w[1]]),
    "dead channel": lambda m: changed(m, "conv2", dead),
    "softmax twice": lambda m: around(m, after=lambda x: keras.ops.softmax(x)),
    "temperature 3": lambda m: around(m, after=lambda x: x / 3),
    "classifier x 1.05": lambda m: changed(m, "conv_classifier", lambda w: [1.05 * v for v in w]),
    "another epsilon": lambda m: with_config(m, "conv1_bn", epsilon=1e-2),
    "BGR": lambda m: around(m, before=lambda x: x[..., ::-1]),
    "no mean": lambda m: with_config(m, "imagenet_normalization", mean=[0.0, 0.0, 0.0]),
    "no deviation": lambda m: with_config(m, "imagenet_normalization", variance=[1.0, 1.0, 1.0]),
    "output shifted": lambda m: around(m, after=lambda x: keras.ops.roll(x, 1, axis=2)),
    "input shifted": lambda m: around(m, before=lambda x: keras.ops.roll(x, 1, axis=2)),
}


def write(model: keras.Model, path: Path, precision: str) -> None:
    """Exports past the gate."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "judge", lambda *_: SimpleNamespace(passed=True))
        to_tflite(model, path, precision=precision, representative_data=STREETS)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_in_each_precision(model, fault, precision, tmp_path) -> None:
    path = tmp_path / "faulty.tflite"
    write(FAULTS[fault](model), path, precision)
    with pytest.raises(ParityError, match="is not an export of tiny") as refusal:
        check_parity(path, model)
    failed = [finding.look for finding in refusal.value.report.findings if not finding.passed]
    assert failed and all(look in str(refusal.value) for look in failed)


def last_maximum(patch: pytest.MonkeyPatch) -> None:
    """Of equal values in a window the last one wins: rows and columns change places in each window, and back."""
    pool, unpool = MaxPoolingWithArgmax2D.call, MaxUnpooling2D.call

    def turned(x: Any) -> Any:
        for axis in (1, 2):
            size = x.shape[axis]
            x = keras.ops.take(x, [i ^ 1 if i ^ 1 < size else i for i in range(size)], axis=axis)
        return x

    patch.setattr(MaxPoolingWithArgmax2D, "call", lambda self, x: pool(self, turned(x)))
    patch.setattr(MaxUnpooling2D, "call", lambda self, u, i, like: turned(unpool(self, u, i, like=like)))


def wrong_padding(patch: pytest.MonkeyPatch) -> None:
    """What an odd size leaves over is cut off at the start instead of the end."""
    unpool = MaxUnpooling2D.call

    def wrong(self: Any, updates: Any, indices: Any, like: Any) -> Any:
        whole = unpool(self, updates, indices)
        return whole[:, whole.shape[1] - like.shape[1] :, whole.shape[2] - like.shape[2] :]

    patch.setattr(MaxUnpooling2D, "call", wrong)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("plant", [last_maximum, wrong_padding])
def test_a_fault_of_indices_is_refused_in_each_precision(model, plant, precision, tmp_path) -> None:
    path = tmp_path / "faulty.tflite"
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        write(model, path, precision)
    with pytest.raises(ParityError, match="is not an export of tiny"):
        check_parity(path, model)


def test_right_files_are_accepted_in_each_format_and_the_report_shows_itself(model, tmp_path) -> None:
    for precision in PRECISIONS:
        write(model, tmp_path / f"{precision}.tflite", precision)
    to_onnx(model, tmp_path / "model.onnx")
    to_saved_model(model, tmp_path / "saved")
    for path in tmp_path.iterdir():
        for images in (None, STREETS[:2]):
            report = check_parity(path, model, images)
            assert report.passed and all(finding.look in str(report) for finding in report.findings)
            assert "<pre>" in report._repr_html_()


def test_a_double_scale_is_refused(model, tmp_path) -> None:
    """Of any tensor of an int8 file whose integers others count on: its kernels and the inputs of its convolutions."""
    import flatbuffers

    from keras_segnet._compat import litert_schema

    schema = litert_schema()
    write(model, tmp_path / "right.tflite", "int8")
    content = (tmp_path / "right.tflite").read_bytes()

    def read() -> Any:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))

    codes = [code.builtinCode for code in read().operatorCodes]
    convolutions = [
        operator
        for operator in read().subgraphs[0].operators
        if codes[operator.opcodeIndex] == schema.BuiltinOperator.CONV_2D
    ]
    for number, tensor in enumerate({int(each) for operator in convolutions for each in operator.inputs[:2]}):
        file = read()
        quantization = file.subgraphs[0].tensors[tensor].quantization
        quantization.scale = 2 * np.asarray(quantization.scale)
        builder = flatbuffers.Builder(len(content))
        builder.Finish(file.Pack(builder), b"TFL3")
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(bytes(builder.Output()))
        with pytest.raises((ParityError, InputError)):  # Some kernels refuse such a file themselves.
            check_parity(path, model)


def test_logits_mean_logits_and_mixed_precision_is_exported_in_float32(model, tmp_path) -> None:
    from keras_segnet.inference import load_segmenter

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = tiny()
    finally:
        keras.config.set_dtype_policy("float32")
    logits = keras.Model(mixed.inputs[0], mixed.get_layer("conv_classifier").output)
    for network in (mixed, logits):
        to_saved_model(network, tmp_path / "saved", overwrite=True)
        to_tflite(network, tmp_path / "model.tflite", overwrite=True)
        for path in (tmp_path / "saved", tmp_path / "model.tflite"):
            found = load_segmenter(path).infer(STREETS[0][None].astype(np.float32))
            np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-3)


def test_export_does_what_the_command_does(model, tmp_path, capfd) -> None:
    model.save(tmp_path / "model.keras")
    capfd.readouterr()
    exported = export_model(tmp_path / "model.keras", output=tmp_path / "model.tflite")
    assert capfd.readouterr().err == ""
    assert exported.report.passed and exported.segmenter().num_classes == 4
    assert "held against the Keras model" in str(exported)
