"""Files that are damaged or made to do harm: each is read, or refused in one line that names it, and nothing else."""

from __future__ import annotations

import io
import json
import resource
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flatbuffers
import keras
import mutations
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_segnet import build_segnet_basic
from keras_segnet.cli.main import run
from keras_segnet.data import Classes
from keras_segnet.data.images import MOST_PIXELS, read_image, refuse_damaged, write_png
from keras_segnet.errors import InputError
from keras_segnet.exporting import to_tflite
from keras_segnet.inference import load_segmenter
from keras_segnet.training.run import _load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")  # Pillow thinks aloud.

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


def outcomes(path: Path, contents: list[bytes], read: Callable[[Path], object]) -> list[str | None]:
    """Reads a file with each of the contents in turn: the line that refuses it, or None where it was read.

    Any error but an `InputError` goes on up.
    """
    lines: list[str | None] = []
    for content in contents:
        path.write_bytes(content)
        try:
            read(path)
            lines.append(None)
        except InputError as error:
            lines.append(" ".join(str(error).split()))
            assert str(path) in lines[-1], lines[-1]
    return lines


def damage(content: bytes, count: int, first: int = 0) -> list[bytes]:
    return [mutations.damaged(content, seed) for seed in range(first, first + count)]


def png_of(height: int, width: int) -> bytes:
    """A whole PNG of a few bytes that says it is of this size; its rows are missing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


BOMBS = {
    "png": png_of(60_000, 60_000),
    "ppm": b"P6\n50000 50000\n255\n" + bytes(100),
    "bmp": b"BM" + struct.pack("<IHHIIIIHHIIIIII", 154, 0, 0, 54, 40, 40_000, 40_000, 1, 24, 0, 0, 0, 0, 0, 0),
    # A format that OpenCV reads and Pillow does not know.
    "hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n" + bytes(100),
    "png a little too large": png_of(MOST_PIXELS // 8000 + 1, 8000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"bomb.{name.split()[0]}"
    path.write_bytes(BOMBS[name])
    for read in (read_image, refuse_damaged) if name != "hdr" else (read_image,):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(InputError, match=r"bomb\.(png|ppm|bmp|hdr)"):
            read(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_segnet_basic(3, (16, 24, 3), width=0.05)


@pytest.fixture(scope="module")
def keras_file(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    network.save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def tflite_file(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("tflite") / "model.tflite"
    to_tflite(network, path)
    return path.read_bytes()


def label_something(path: Path) -> None:
    label = load_segmenter(path).label(PICTURE)
    assert label.shape == PICTURE.shape[:2] and label.dtype == np.uint8


def packed(keras_file: bytes, changes: dict[str, bytes]) -> bytes:
    """The archive with other members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(keras_file)) as old, zipfile.ZipFile(packed, "w") as new:
        for name in {**dict.fromkeys(old.namelist()), **changes}:
            new.writestr(name, changes[name] if name in changes else old.read(name))
    return packed.getvalue()


def test_a_keras_file_runs_no_code_and_writes_nothing(keras_file: bytes, tmp_path: Path) -> None:
    evil, path = tmp_path / "evil", tmp_path / "inside" / "model.keras"
    path.parent.mkdir()
    with zipfile.ZipFile(io.BytesIO(keras_file)) as archive:
        config = json.loads(archive.read("config.json"))
    call = {"module": "os", "class_name": "system", "config": f"touch {evil}", "registered_name": None}
    config["config"]["layers"][1]["config"]["kernel_initializer"] = call
    outcomes(path, [packed(keras_file, {"config.json": json.dumps(config).encode()})], label_something)
    outside = [f"assets/../../{evil.name}", str(evil), f"../{evil.name}", "assets/.."]
    contents = [packed(keras_file, {name: b"x"}) for name in outside]
    # Refused before Keras reads it, which would skip it with a warning from the middle of Python's zipfile.
    for read in (label_something, _load_checkpoint):
        for name, line in zip(outside, outcomes(path, contents, read), strict=True):
            assert line is not None and line.endswith("a path that leads out of it"), line
            assert f"it holds {name[:50]!r}"[:-1] in line
    assert not evil.exists()
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["inside", "model.keras"]


def rewired(tflite_file: bytes, options: type, change: Callable[[Any, Any], None]) -> bytes:
    """A whole flatbuffer with one op, of these options, changed: `change(subgraph, op)`."""
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(tflite_file, 0))
    (subgraph,) = file.subgraphs
    change(subgraph, next(op for op in subgraph.operators if isinstance(op.builtinOptions, options)))
    builder = flatbuffers.Builder(len(tflite_file))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_tflite_file_that_ends_its_process(tflite_file: bytes, tmp_path: Path) -> None:
    """Its input is a constant, which lies where nothing can be written; LiteRT 2.1 writes all the same."""

    def take_weights(subgraph: Any, op: Any) -> None:
        subgraph.inputs = [op.inputs[1]]

    path = tmp_path / "model.tflite"
    path.write_bytes(rewired(tflite_file, schema.Conv2DOptionsT, take_weights))
    with pytest.raises(InputError, match=r"model\.tflite cannot be read as a .tflite file: LiteRT ends with SIG"):
        load_segmenter(path)


def test_a_tflite_file_that_gives_something_else(tflite_file: bytes, tmp_path: Path) -> None:
    def give_weights(subgraph: Any, op: Any) -> None:
        subgraph.outputs = [op.inputs[1]]

    path = tmp_path / "model.tflite"
    path.write_bytes(rewired(tflite_file, schema.Conv2DOptionsT, give_weights))
    with pytest.raises(InputError, match=r"model\.tflite .* not a score for each class of each pixel"):
        load_segmenter(path)


def test_hostile_files_on_the_command_line(
    keras_file: bytes, tflite_file: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2 and one line, or 0 and both pictures; and nothing but these in the folder around."""
    write_png(tmp_path / "picture.png", PICTURE)
    for name, good in (("a.keras", keras_file), ("b.tflite", tflite_file), ("picture.png", None)):
        for seed in range(200, 206):
            path, output = tmp_path / name, tmp_path / "out"
            good = path.read_bytes() if good is None else good
            path.write_bytes(mutations.damaged(good, seed))
            model = path if name != "picture.png" else tmp_path / "c.keras"
            (tmp_path / "c.keras").write_bytes(keras_file)
            status = run(["predict", str(model), str(tmp_path / "picture.png"), "--output", str(output)])
            err = capsys.readouterr().err.splitlines()
            if status == 0:
                assert err == []
                assert {file.name for file in output.iterdir()} == {
                    "legend.png",
                    "picture_mask.png",
                    "picture_overlay.png",
                }
                for file in output.iterdir():
                    file.unlink()
                output.rmdir()
            else:
                assert status == 2 and len(err) == 1 and str(path) in err[0], (name, seed, err)
                assert not output.exists()
            path.write_bytes(good)


def test_class_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """What looks like rich's markup or matplotlib's mathematics in a name is neither."""
    from keras_segnet.cli import screen
    from keras_segnet.pictures.figures import draw_confusion_matrix

    names = ("[/red]", r"$\nothing$", "[bold]")
    draw_confusion_matrix(np.eye(3, dtype=int), Classes(names, ((0, 0, 0),) * 3), tmp_path / "matrix.png")
    with screen.console.capture() as captured:
        screen.console.print(screen.scores_table("[/x]", [(name, "1", "2", "3") for name in (*names, "a", "b", "c")]))
    assert all(name in captured.get() for name in (*names, "[/x]"))
