"""Names that are known before Keras is imported: they are those of the library, and a wrong one is refused at once."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from keras_segnet import catalogue
from keras_segnet.cli.main import run
from keras_segnet.models import NETWORKS


def test_the_networks_are_those_of_the_registry() -> None:
    """In a process where no test has registered one more."""
    program = (
        "from keras_segnet import catalogue; before = list(catalogue.networks()); from keras_segnet import models; "
    )
    program += "assert before == catalogue.networks() and set(before) == set(models.NETWORKS)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_trained_networks_are_those_with_weights_in_the_package() -> None:
    trained = {name for name in catalogue.networks() if catalogue.trained_on(name)}
    assert trained == {name for name in NETWORKS if NETWORKS[name].trained_on} >= {"segnet_edge", "segnet_basic"}
    assert catalogue.trained_on("efficientnet_lite0") == []  # An encoder is no network.
    assert [path for path in ("segnet_edge", "./segnet_edge", "a/segnet_edge", "segnet", "") if
            catalogue.is_trained_network(Path(path))] == ["segnet_edge", "./segnet_edge"]  # fmt: skip


OUTPUT = ["--output", "there"]
WRONG = [
    ("train --data here --model segnet_egde", "--model must be .*, not 'segnet_egde'; did you mean segnet_edge[?]"),
    ("train --data here --optimizer sgdd", "--optimizer must be muon, adamw or sgd, not 'sgdd'; did you mean sgd[?]"),
    ("train --data here --weights camvdi", "--weights must be .*, not 'camvdi'; did you mean camvid[?]"),
    ("train --data here --recipe papre", "--recipe must be paper or modern, not 'papre'; did you mean paper[?]"),
    ("train --data here --schedule cosin", "--schedule must be .*, not 'cosin'; did you mean cosine[?]"),
    ("train --data here --precision bfloat16", "--precision must be .*; did you mean mixed_bfloat16[?]"),
    ("train --data here --balancing global_", "--balancing must be .*; did you mean global[?]"),
    ("train --data here --monitor miou", "--monitor must be .*, not 'miou'; did you mean mean_iou[?]"),
    ("train --data here --input-size 3x", "--input-size must be HEIGHTxWIDTH, .*'3x'."),
    ("predict segnet_egde here.png", "segnet_egde does not exist; .* is expected there; did you mean segnet_edge[?]"),
    ("predict segnet_edge here.png --write mask", "--write must be both, .*; did you mean masks[?]"),
    ("evaluate segnet_egde --data here", "segnet_egde does not exist; .* expected there; did you mean segnet_edge[?]"),
    ("benchmark segnet_egde", "segnet_egde does not exist; .* is expected there; did you mean segnet_edge[?]"),
    ("export segnet_bsaic --format onnx", "segnet_bsaic does not exist; a .keras file or the name of a trained .* "
     "is expected there; did you mean segnet_basic[?]"),
    ("export segnet_edge --format tflite --precision int", "--precision must be .*, not 'int'; did you mean int8[?]"),
    ("export segnet_edge --format tflite --head logit", "--head must be .*, not 'logit'; did you mean logits[?]"),
    ("export segnet_edge --format tflite --interface uint", "--interface must be .*; did you mean uint8[?]"),
    ("export segnet_edge --format web --input-size 0x0", "--input-size must be HEIGHTxWIDTH, .*'0x0'."),
    ("check-parity a.onnx --model segnet_egde", "segnet_egde does not exist; .*; did you mean segnet_edge[?]"),
    ("data weights here --balancing presense", "--balancing must be .*; did you mean presence[?]"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_a_wrong_name_is_refused_with_the_nearest_one(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(with_output(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(f"keras-segnet: {message}", line), line
    assert not list(tmp_path.iterdir())


def with_output(arguments: str) -> list[str]:
    return [*arguments.split(), *(OUTPUT if arguments.split()[0] in ("train", "predict", "export") else [])]


def test_nothing_is_imported_before(tmp_path: Path) -> None:
    heavy = ("tensorflow", "keras", "numpy", "cv2", "grain", "matplotlib")
    program = (
        "import sys; from keras_segnet.cli.main import run; "
        f"print([(run(words), [n for n in {heavy} if n in sys.modules]) for words in eval(sys.argv[1])])"
    )
    commands = [with_output(arguments) for arguments, _ in WRONG]
    done = subprocess.run(
        [sys.executable, "-c", program, repr(commands)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.strip() == repr([(2, [])] * len(WRONG))
    assert len(done.stderr.splitlines()) == len(WRONG)
