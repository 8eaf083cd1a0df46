"""On LiteRT's own GPU backend, with a device made of software. `make software-gpu` fetches it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_segnet import build_segnet, build_segnet_basic
from keras_segnet.errors import InputError
from keras_segnet.exporting import check_gpu, to_tflite
from keras_segnet.exporting.parity import street_images

SIZE = (45, 61)


@pytest.mark.parametrize("head", ["probabilities", "logits", "class_map"])
@pytest.mark.parametrize(("build", "precision"), [(build_segnet, "float16"), (build_segnet_basic, "float32")])
def test_the_gpu_takes_each_head_whole_and_computes_the_same(build, precision, head, software_gpu, tmp_path):
    """What it does with every network is in tests/models/test_every_network.py."""
    keras.utils.set_random_seed(0)
    path = tmp_path / "model.tflite"
    to_tflite(build(11, (*SIZE, 3), width=0.125), path, precision=precision, head=head)
    images = np.stack(street_images(SIZE, 2))
    report = check_gpu(path, images, software_gpu)
    assert "SwiftShader" in report.device
    assert report.fully_accelerated and report.rejected == ()
    assert report.label_agreement >= 0.999
    if head != "class_map":
        assert report.largest_difference < 1e-3


def refused_model(path):
    """Asks for what the GPU has not: an index of 64 bits and a gather."""

    @tf.function(input_signature=[tf.TensorSpec((1, *SIZE, 3), tf.float32, name="image")])
    def network(image):
        best = tf.cast(tf.argmax(image, axis=-1), tf.float32)
        return {"probabilities": tf.stack([best, 1 - best], axis=-1) + tf.gather_nd(image, [[0, 0, 0]])[0, 0]}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()], tf.Module())
    path.write_bytes(converter.convert())


def test_ops_that_the_gpu_does_not_take_are_named(software_gpu, tmp_path):
    refused_model(tmp_path / "model.tflite")
    report = check_gpu(tmp_path / "model.tflite", software_device=software_gpu)
    assert not report.fully_accelerated and report.label_agreement == 0
    assert any(line.startswith("GATHER_ND") for line in report.rejected)
    assert any(line.startswith("ARG_MAX") for line in report.rejected)


def test_the_command_says_whether_the_gpu_takes_a_file(software_gpu, tmp_path, capsys):
    from keras_segnet.cli.main import run

    good, bad = tmp_path / "good.tflite", tmp_path / "bad.tflite"
    to_tflite(build_segnet_basic(3, (*SIZE, 3), width=0.1), good)
    refused_model(bad)
    assert run(["check-gpu", str(good), "--software-device", str(software_gpu)]) == 0
    assert "runs on the GPU whole" in capsys.readouterr().out
    assert run(["check-gpu", str(bad), "--software-device", str(software_gpu)]) == 1
    said = capsys.readouterr()
    assert "Not taken: GATHER_ND" in said.out
    assert len(said.err.splitlines()) == 1


def test_files_and_folders_that_are_none_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"missing\.tflite does not exist"):
        check_gpu(tmp_path / "missing.tflite")
    (tmp_path / "text.tflite").write_text("hello")
    with pytest.raises(InputError, match=r"cannot be read as a \.tflite"):
        check_gpu(tmp_path / "text.tflite")
    to_tflite(build_segnet_basic(3, (8, 8, 3), width=0.05), tmp_path / "model.tflite")
    with pytest.raises(InputError, match="no folder with SwiftShader"):
        check_gpu(tmp_path / "model.tflite", software_device=tmp_path)
