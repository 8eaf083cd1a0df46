"""Figures of model files against answers by hand, and the command that shows them."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from keras_segnet import build_segnet_basic
from keras_segnet.benchmarking import Benchmark, arena_size, benchmark, profile
from keras_segnet.cli.main import run
from keras_segnet.errors import InputError
from keras_segnet.exporting import FORMATS, to_onnx, to_saved_model, to_tflite
from keras_segnet.inference import load_segmenter

SIZE = (24, 32)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(0)
    model = build_segnet_basic(3, (*SIZE, 3), width=0.05)
    found = {kind: folder / f"segnet{FORMATS[kind].suffix}" for kind in ("tflite", "onnx", "saved_model")}
    to_tflite(model, found["tflite"], precision="float16", head="class_map")
    to_onnx(model, found["onnx"], head="logits")
    to_saved_model(model, found["saved_model"])
    return found


def chain(skip: bool) -> keras.Model:
    """Maps of 16x16 with 4, 8, 16, 8 (and, with a skip, 8 + 4) and 2 channels."""
    image = keras.Input((16, 16, 3))
    first = layers.Conv2D(4, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(first)
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    if skip:
        x = layers.Concatenate()([x, first])
    return keras.Model(image, layers.Conv2D(2, 3, padding="same")(x))


@pytest.mark.parametrize(("precision", "bytes_each"), [("float32", 4), ("float16", 4), ("int8", 1)])
@pytest.mark.parametrize("skip", [False, True])
def test_the_arena_holds_the_maps_that_live_at_once(skip, precision, bytes_each, tmp_path) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8))
    options = {"precision": precision, "head": "logits", "images": images}
    if precision == "int8":
        options |= {"interface": "int8", "representative_data": images}
    to_tflite(chain(skip), tmp_path / "model.tflite", **options)
    # The image stays to the end. Besides there are at most 8 + 16 channels at once, the map that skips, or in the end
    # what is joined and what it is joined into.
    channels = 3 + max(8 + 16, 8 + 4 + 12 if skip else 0) + (4 if skip else 0)
    assert arena_size(tmp_path / "model.tflite") == bytes_each * 16 * 16 * channels


def test_a_file_without_an_arena(tmp_path) -> None:
    (tmp_path / "text.tflite").write_text("hello")
    with pytest.raises(InputError, match=r"arena of .*text\.tflite cannot be planned"):
        arena_size(tmp_path / "text.tflite")


def test_median_and_95th_percentile() -> None:
    seconds = tuple(np.random.default_rng(0).permutation(np.arange(1, 102)) / 1000)
    found = Benchmark(Path("file"), SIZE, "logits", None, seconds, memory=1, arena=None, size=1)
    assert found.median == pytest.approx(0.051) and found.p95 == pytest.approx(0.096)


def test_threads_apply(files) -> None:
    def started(kind: str, threads: int) -> int:
        before = len(os.listdir("/proc/self/task"))
        segmenter = load_segmenter(files[kind], threads)
        segmenter.run(np.zeros((1, *SIZE, 3), np.uint8))
        return len(os.listdir("/proc/self/task")) - before

    for kind in ("tflite", "onnx"):
        # The thread that asks computes too.
        assert [started(kind, threads) for threads in (1, 2, 4)] == [0, 1, 3], kind


def test_profiles_name_every_op_of_a_file(files) -> None:
    found = {kind.op: kind for kind in profile(files["onnx"], runs=2, threads=1)}
    written = FORMATS["onnx"].open(files["onnx"]).ops
    for op in ("Floor", "DepthToSpace", "MaxPool"):
        assert found[op].count == written[op]
    found = {kind.op: kind for kind in profile(files["tflite"], runs=2, threads=1)}
    written = FORMATS["tflite"].open(files["tflite"]).ops
    for op in ("ARG_MAX",):
        assert found[op].count == written[op]
    # XNNPACK calls a convolution of 1x1 fully connected.
    convolutions = [kind.count for op, kind in found.items() if op.startswith(("Convolution", "Fully Connected"))]
    assert sum(convolutions) == written["CONV_2D"] + written["DEPTHWISE_CONV_2D"] == 9 + 12
    assert sum(kind.share for kind in found.values()) == pytest.approx(1)
    seconds = [kind.seconds for kind in found.values()]
    assert seconds == sorted(seconds, reverse=True) and 0 < sum(seconds) < 1


def test_the_command_shows_all_files_and_their_profiles(files, capsys) -> None:
    assert run(["benchmark", *map(str, files.values()), "--runs", "3", "--threads", "1", "--profile"]) == 0
    out = capsys.readouterr().out
    assert "One image, 3 runs, 1 thread\n" in "\n".join(line.rstrip() for line in out.splitlines()) + "\n"
    # A long path goes over several lines, of which the first has the figures.
    rows = [[cell.strip() for cell in line.split("│")[2:-1]] for line in out.splitlines() if " 24x32 " in line]
    assert [row[:3] for row in rows] == [
        ["float16", "class_map", "24x32"],
        ["float32", "logits", "24x32"],
        ["-", "probabilities", "24x32"],
    ]
    for row in rows:
        median, p95, memory, size = (float(row[i]) for i in (3, 4, 5, 7))
        assert 0 < median <= p95 < 1000 and 1 < memory < 1000 and size > 0
    assert [row[6] for row in rows] == [f"{arena_size(files['tflite']) / 1e6:.2f}", "-", "-"]
    assert out.count("Ops of") == 2 and "DepthToSpace" in out and "ARG_MAX" in out
    assert out.count("has no profile") == 1


def test_what_is_no_model_gives_one_line(files, tmp_path, capsys) -> None:
    (tmp_path / "text.tflite").write_text("hello")
    for options, message in (
        ([files["onnx"], tmp_path / "missing.onnx"], "missing.onnx does not exist"),
        ([tmp_path / "text.tflite"], "text.tflite cannot be read as a .tflite file"),
        ([files["onnx"], "--input-size", "24"], "--input-size must be HEIGHTxWIDTH"),
    ):
        assert run(["benchmark", *map(str, options)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    assert run(["benchmark", str(files["onnx"]), "--threads", "0"]) == 2
    assert "--threads" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"threads": 0}, {"runs": 0}])
def test_counts_that_are_not_positive(files, options) -> None:
    for ask in (lambda **given: benchmark([files["onnx"]], **given), lambda **given: profile(files["onnx"], **given)):
        with pytest.raises(InputError, match=f"{next(iter(options))} must be a positive whole number, not 0"):
            ask(**options)


def test_a_saved_model_has_no_profile(files) -> None:
    with pytest.raises(InputError, match=r"only \.tflite and \.onnx files"):
        profile(files["saved_model"])
