"""What stands on the screen: our words first, all text from outside as it is, and a crash's last words."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from streets_folder import write_streets

from keras_segnet.cli import screen
from keras_segnet.cli.main import run

NOISE = re.compile(
    r"absl|XNNPACK|oneDNN|TF-TRT|CUDA|cpu_feature|profiler|warning|^[IWEF]\d{4} |^\d{4}-\d\d-\d\d ", re.IGNORECASE
)
"""What TensorFlow, absl, LiteRT and grain say while they load."""

SHELL = [sys.executable, "-m", "keras_segnet.cli"]


def shell(*arguments: str, cwd: Path) -> str:
    """Standard output and standard error in the order in which they come."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [*SHELL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, env=environment
    ).stdout


def test_a_first_time_user_sees_nothing_but_our_words(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, run = trained
    listed = shell("models", cwd=tmp_path).splitlines()
    assert listed[0].startswith("┏━") and "parameters" in listed[1]
    image = next((data / "test" / "images").glob("*.png"), None) or next(data.rglob("*.png"))
    labelled = shell("predict", str(run / "model.keras"), str(image), "--output", "labelled", cwd=tmp_path).splitlines()
    assert len(labelled) == 1 and "labelled" in labelled[0]
    more = ["--model", "segnet_basic", "--width", "0.05", "--input-size", "24x32", "--epochs", "1"]
    lines = shell("train", "--data", str(data), *more, "--output", "run", cwd=tmp_path).splitlines()
    assert lines[0].startswith("Training segnet_basic")
    assert [line for line in listed + labelled + lines if NOISE.search(line)] == []


def test_the_bits_that_images_are_read_with_are_said_once(tmp_path: Path) -> None:
    """Those of cameras of 12 bits in files of 16, in three splits."""
    for path in (write_streets(tmp_path / "data") / "images").iterdir():
        image = cv2.imread(str(path)).astype(np.uint16) * 16
        image[0, 0] = 4095
        cv2.imwrite(str(path), image)
    lines = shell("data", "check", "data", cwd=tmp_path).splitlines()
    assert [line for line in lines if "bit" in line] == [
        f"keras-segnet: The 16-bit images in {tmp_path / 'data' / 'images'} go up to 4,095; they are read as images of "
        "12 bits."
    ]
    assert lines[-1] == "No fault was found."


def python(program: str) -> subprocess.CompletedProcess[str]:
    program = f"import os, sys; from keras_segnet.cli import silence; {program}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


MAKE_NOISE = r"os.write(2, b'I0000 00:00:1 cpu.cc:1] This binary\n2026-11-21 10:00:00.1: W a.cc:7] no\nlast words\n'); "


def test_frameworks_are_not_heard_where_all_goes_well() -> None:
    done = python(
        f"silence.begin(); {MAKE_NOISE} import logging, warnings; logging.warning('no'); warnings.warn('no'); "
        "import subprocess; subprocess.run(['sh', '-c', 'echo of a child >&2']); "
        "print('ours', file=sys.stderr); silence.end()"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "ours\n", 0)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("os.abort()", -signal.SIGABRT),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
        ("os.kill(os.getpid(), 9)", -9),
    ],
)
def test_the_last_words_of_a_crash_are_shown(end: str, status: int) -> None:
    done = python(f"silence.begin(); print('ours', file=sys.stderr); {MAKE_NOISE} {end}")
    assert (done.stderr, done.returncode) == ("ours\nlast words\n", status)


def test_so_are_those_before_a_traceback() -> None:
    done = python(f"silence.begin(); {MAKE_NOISE} raise KeyError('ours')")
    assert "KeyError: 'ours'\n" in done.stderr and "last words\n" in done.stderr


def test_few_of_very_many_lines_are_kept() -> None:
    done = python(r"silence.begin(); [os.write(2, b'%d\n' % i) for i in range(100_000)]; os.abort()")
    assert done.stderr.split() == [str(i) for i in range(100_000 - 20, 100_000)]


def test_ctrl_c_does_not_end_what_keeps_them() -> None:
    done = python(
        "os.setsid(); silence.begin(); import signal; signal.signal(2, signal.SIG_IGN); os.killpg(0, 2); "
        "os.write(2, b'x'); os.abort()"
    )
    assert done.stderr == "x"


def shown(*texts: str) -> str:
    console = screen.PlainConsole(markup=False, emoji=False, highlight=False, width=100_000, file=io.StringIO())
    table = Table(*texts, title=texts[0])
    table.add_row(*texts)
    for each in (*texts, table):
        console.print(each, soft_wrap=isinstance(each, str))
    return console.file.getvalue()  # type: ignore[attr-defined]


@given(st.text(max_size=30))
def test_no_text_moves_the_cursor_or_is_lost(text: str) -> None:
    written = screen.printable(text)
    written.encode()  # No half of a surrogate pair.
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", written)
    if "\\" not in text:
        assert re.sub(r"\\(?:x..|u....|r)", lambda code: code[0].encode().decode("unicode_escape"), written) == text


@pytest.mark.parametrize("text", ["[/red]", "[bold]a[/bold]", ":car:", "[link=http://x]y[/link]", "\\[a]"])
def test_names_are_no_markup(text: str) -> None:
    assert shown(text).count(text) == 4
    assert screen.console._markup is screen.console._emoji is False


@pytest.mark.parametrize(("text", "written"), [("\x1b[2J", r"\x1b[2J"), ("a\rb", r"a\rb"), ("\udc80", r"\udc80")])
def test_names_are_no_controls(text: str, written: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(text).count(written) == 4
    screen.complain(f"{text} is wrong.")
    assert capsys.readouterr().err == f"keras-segnet: {written} is wrong.\n"


class ResourceExhaustedError(Exception):
    """TensorFlow's, by its name."""


@pytest.mark.parametrize(
    "error", [MemoryError(), ResourceExhaustedError("OOM when"), RuntimeError("RESOURCE_EXHAUSTED: Out of memory")]
)
def test_a_lack_of_memory_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(network: object) -> None:
        raise error

    monkeypatch.setattr("keras_segnet.models.graph.summarize_network", fail)
    assert run(["models"]) == 2
    assert capsys.readouterr().err == (
        "keras-segnet: there is not enough memory; a smaller width, input size or batch size needs less.\n"
    )


def test_a_missing_module_is_reported_as_itself(tmp_path: Path) -> None:
    (tmp_path / "tensorflow.py").write_text("raise ModuleNotFoundError('no', name='tensorflow')")
    done = subprocess.run(
        [*SHELL, "models"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "KERAS_BACKEND": "tensorflow"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "keras-segnet: this needs the Python module tensorflow, which is not installed.\n"
