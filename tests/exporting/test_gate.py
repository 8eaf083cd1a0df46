"""The gate: it refuses each planted fault in each precision, and says which look found it; it accepts what is right."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tiny_network
from batch_statistics import settle
from planted_faults import FAULTS, PRECISIONS, Fault, tensors_of_convolutions, with_double_scale, write

from keras_segnet.errors import InputError
from keras_segnet.exporting import ParityError, check_parity, tflite_file, to_saved_model, to_tflite
from keras_segnet.exporting import export as export_model
from keras_segnet.models import blocks
from keras_segnet.streets import draw_street_scene

SIZE = (23, 31)
STREETS = [draw_street_scene(seed, SIZE)[0] for seed in range(20, 28)]


def tiny(dropout: float = 0.0, brightness: float = 1.0) -> keras.Model:
    """One stage of a SegNet, which sees images brighter than they are."""
    image = blocks.image_input((*SIZE, 3))
    colours = blocks.normalize_colours(keras.layers.Rescaling(brightness)(image), "imagenet")
    scores = tiny_network.wire(colours, 4, 1.0, dropout=dropout)
    return keras.Model(image, blocks.probabilities(scores, "softmax"), name="tiny")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    found = settle(tiny(dropout=0.2))
    for layer in found.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.bias.assign(np.random.default_rng(0).normal(0, 0.3, layer.bias.shape))
    return found


@pytest.fixture(autouse=True)
def opened_at_once(monkeypatch) -> None:
    """No file here is damaged, so none needs a process of its own to be tried in."""
    monkeypatch.setattr(tflite_file, "open_tflite", lambda path: None)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if fault.precisions == PRECISIONS])
def test_a_fault_is_refused_in_each_precision(model, fault, precision, tmp_path) -> None:
    path = tmp_path / "faulty.tflite"
    write(model, path, FAULTS[fault], precision=precision, representative_data=STREETS)
    with pytest.raises(ParityError, match="is not an export of tiny") as refusal:
        check_parity(path, model)
    failed = [finding.look for finding in refusal.value.report.findings if not finding.passed]
    assert failed and all(look in str(refusal.value) for look in failed)


@pytest.mark.parametrize("name", ["model.onnx", "saved"])
def test_a_fault_is_refused_in_other_formats(model, name, tmp_path) -> None:
    for fault in ("two classes swapped", "epsilon 1e-3", "last of equal maxima"):
        write(model, tmp_path / name, FAULTS[fault], overwrite=True)
        with pytest.raises(ParityError, match="is not an export of tiny"):
            check_parity(tmp_path / name, model)


def test_right_files_are_accepted_in_each_format_and_the_report_shows_itself(model, tmp_path) -> None:
    for precision in PRECISIONS:
        write(model, tmp_path / f"{precision}.tflite", precision=precision, representative_data=STREETS)
    write(model, tmp_path / "model.onnx")
    write(model, tmp_path / "saved")
    for path in tmp_path.iterdir():
        report = check_parity(path, model)
        assert report.passed and all(finding.look in str(report) for finding in report.findings)
        assert "<pre>" in report._repr_html_()


@pytest.mark.parametrize(("fault", "precision"), [(None, "int8"), ("dead channel", "int8"), ("BGR", "float16")])
def test_the_verdict_is_the_same_whatever_images_there_are(model, fault, precision, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    write(model, path, FAULTS[fault] if fault else Fault(), precision=precision, representative_data=STREETS)
    dark, noisy = np.zeros((5, 7, 3), np.uint8), np.random.default_rng(3).integers(0, 256, (9, 9, 3), np.uint8)
    found = []
    for images in (None, [], STREETS[:2], [dark], [noisy, dark]):
        try:
            report = check_parity(path, model, images)
        except ParityError as error:
            report = error.report
        assert report.images == (len(images) if images else 2)
        found.append(report.findings)
    assert found == [found[0]] * len(found)
    assert all(finding.passed for finding in found[0]) == (fault is None)


def test_a_network_for_dark_images_is_exported_with_their_ranges(model, tmp_path) -> None:
    """The gate's streets are sixteen times as bright, so the file can hold little of what it makes of them."""
    dark = tiny(dropout=0.2, brightness=16)
    dark.set_weights(model.get_weights())
    report = to_tflite(
        dark, tmp_path / "dark.tflite", precision="int8", representative_data=[street // 16 for street in STREETS]
    )
    assert report.passed


def test_a_double_scale_is_refused(model, tmp_path) -> None:
    """Of any tensor of an int8 file whose integers others count on: its kernels and the inputs of its convolutions."""
    write(model, tmp_path / "right.tflite", precision="int8", representative_data=STREETS)
    content = (tmp_path / "right.tflite").read_bytes()
    for tensor in {tensor for pair in tensors_of_convolutions(content) for tensor in pair}:
        path = tmp_path / f"{tensor}.tflite"
        path.write_bytes(with_double_scale(content, tensor))
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
