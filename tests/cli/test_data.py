"""`keras-segnet data`: what it says of good and of faulty data sets, and training on RGB labels in two commands."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from streets_folder import write_streets

from keras_segnet.cli.main import run
from keras_segnet.data import folder as open_folder
from keras_segnet.data import open_dataset
from keras_segnet.data.camvid import CLASSES
from keras_segnet.data.open import absolute

# The golden values of the 367 training labels: pixels of each class and of void, weights by the three definitions.
PIXELS = [10682767, 14750079, 623349, 20076880, 2845085, 6166762, 743859, 714595, 3719877, 405385, 184967, 2503995]
WEIGHTS = {
    "presence": [0.2793, 0.2017, 4.7865, 0.1490, 1.0, 0.4217, 3.8467, 1.9736, 0.7889, 6.3747, 8.8587],
    "presence_with_ignored": [0.2565, 0.1853, 4.3963, 0.1369, 0.9185, 0.3873, 3.5331, 1.8127, 0.7246, 5.8550, 8.1365],
    "global": [0.2663, 0.1929, 4.5642, 0.1417, 1.0, 0.4614, 3.8248, 3.9814, 0.7648, 7.0182, 15.3816],
}


@pytest.fixture(scope="module")
def camvid_training(camvid_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with CamVid's training list alone."""
    folder = tmp_path_factory.mktemp("camvid")
    for name in ("train", "trainannot", "train.txt"):
        (folder / name).symlink_to((camvid_folder / name).resolve())
    return folder


def rows(text: str) -> dict[str, list[str]]:
    """The cells behind the first of each row of a table on the screen, by that first cell."""
    cells = [[cell.strip() for cell in line.strip("│ \n").split("│")] for line in text.splitlines() if "│" in line]
    return {first: rest for first, *rest in cells}


def test_check_gives_the_golden_values_of_camvid(camvid_training: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(camvid_training)]) == 0
    out = capsys.readouterr().out
    assert "camvid train: 367 images, 360x480" in out and "No fault was found." in out
    found = rows(out)
    names = [*CLASSES.names, "ignored"]
    assert [int(found[name][0].replace(",", "")) for name in names] == PIXELS
    for column, expected in enumerate(WEIGHTS.values()):
        assert [float(found[name][3 + column]) for name in CLASSES.names] == expected
    assert found["ignored"][1] == f"{100 * PIXELS[-1] / sum(PIXELS):.2f}"


def test_weights_as_json(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "weights.json"
    assert run(["data", "weights", str(folder), "--balancing", "global", "--json", str(path)]) == 0
    written = json.loads(path.read_text())
    training = open_folder(folder, "train")
    labels = np.concatenate([training[index].label.ravel() for index in range(len(training))])
    pixels = np.bincount(labels[labels != 255], minlength=11)
    frequency = pixels / pixels.sum()
    weights = np.divide(np.median(frequency[pixels > 0]), frequency, out=np.zeros(11), where=pixels > 0)
    assert list(written["weights"]) == [f"thing {i}" for i in range(11)] and written["balancing"] == "global"
    np.testing.assert_allclose(list(written["weights"].values()), weights, rtol=1e-12)
    assert list(written["pixels"].values()) == pixels.tolist()
    assert rows(capsys.readouterr().out)["thing 0"] == [f"{pixels[0]:,}", f"{weights[0]:.4f}"]
    assert run(["data", "weights", str(folder), "--json", str(tmp_path / "no" / "w.json")]) == 2
    assert "is not a folder; w.json" in capsys.readouterr().err


def test_check_names_every_fault_with_its_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, label = folder / "images", folder / "labels"
    (label / "street_0.png").unlink()
    (image / "street_1.png").unlink()
    (image / "street_2.png").write_bytes((image / "street_2.png").read_bytes()[:300])
    (label / "street_2.png").write_bytes(b"")
    cv2.imwrite(str(label / "street_3.png"), np.zeros((48, 63), np.uint8))
    cv2.imwrite(str(label / "street_4.png"), np.full((48, 64), 77, np.uint8))
    cv2.imwrite(str(label / "street_5.png"), np.zeros((48, 64, 3), np.uint8))
    (label / "street_6.png").write_bytes(cv2.imencode(".jpg", np.zeros((48, 64), np.uint8))[1].tobytes())
    assert run(["data", "check", str(folder)]) == 2
    captured = capsys.readouterr()
    expected = [
        ("labels", "street_1.png", "has no image"),
        ("images", "street_0.png", "has no label"),
        ("images", "street_2.png", "damaged"),
        ("labels", "street_2.png", "no image that can be read"),
        ("labels", "street_3.png", "is 48x63"),
        ("labels", "street_4.png", "label value 77"),
        ("labels", "street_5.png", "3 channels"),
        ("labels", "street_6.png", "JPEG"),
    ]
    lines = captured.err.splitlines()
    assert lines[-1] == f"keras-segnet: 8 faults in {folder}." and len(lines) == 9
    for part, name, problem in expected:
        assert any(f"{folder / part / name} " in line and problem in line for line in lines), (name, problem)
    good = sum(int(line.split(": ")[1].split()[0]) for line in captured.out.splitlines() if "images, 48x64" in line)
    assert good == 2 * 5  # The rest of the twelve, once in their split and once overall.


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "an image in two splits": (
        lambda root: [(root / f"{s}.txt").write_text("street_1\nstreet_2") for s in ("train", "val")],
        "street_1.png is in the splits train and val.",
    ),
    "listed images that are missing": (
        lambda root: [(root / f"{s}.txt").write_text(f"gone\nstreet_{i}") for i, s in enumerate(("train", "val"))],
        "val.txt, line 1: there is no image gone",
    ),
    "an empty list": (
        lambda root: [(root / f"{s}.txt").write_text(text) for s, text in (("train", "street_1"), ("val", ""))],
        "val.txt is an empty split",
    ),
    "a value that leaves a gap": (
        lambda root: [
            (root / "classes.txt").unlink(),
            cv2.imwrite(str(root / "labels" / "street_4.png"), np.full((48, 64), 77, np.uint8)),
        ],
        "street_4.png holds the label value 77, but no label holds 11",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_lists(fault: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant, expected = FAULTS[fault]
    plant(folder)
    assert run(["data", "check", str(folder)]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert "images, 48x64" in captured.out  # What is good is told all the same.


def test_a_folder_that_is_no_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(tmp_path)]) == 2
    assert "JPEGImages/" in capsys.readouterr().err


def test_faults_of_a_kind_are_told_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the files are called; and `.` is shown as the folder that it is."""
    images, labels = folder / "images", folder / "labels"
    for index in range(8):
        cv2.imwrite(str(labels / f"street_{index}.png"), np.full((48, 64), 70 + index, np.uint8))
    for index in range(8, 10):
        (labels / f"street_{index}.png").rename(labels / f"a label (no. {index}).png")
    monkeypatch.chdir(folder)
    assert run(["data", "check", "."]) == 2
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert lines[-1] == f"keras-segnet: 12 faults in {folder}."
    assert sum("holds the label value" in line for line in lines) == 3
    assert "keras-segnet: and 5 more of this kind (--all prints them)." in lines
    assert len(lines) == 3 + 1 + 2 + 2 + 1
    assert f"{folder.name} train: " in captured.out
    assert run(["data", "check", str(folder), "--all"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 13 and all(any(f"street_{i}.png holds" in line for line in lines) for i in range(8))
    assert images.is_dir()


def test_a_list_of_classes_is_suggested_for_colours(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once it is saved as it stands, nothing is wrong any more."""
    (folder / "classes.txt").unlink()
    colours = np.array([(9, 8, 7), (0, 0, 0), (255, 255, 255), (128, 64, 0)], np.uint8)
    expected = np.zeros(4, int)
    for path in (folder / "labels").iterdir():
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) % 4
        expected += np.bincount(label.ravel(), minlength=4)
        cv2.imwrite(str(path), colours[label][..., ::-1])
    assert run(["data", "check", str(folder)]) == 2
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 5  # Three of twelve, how many more, the sum.
    written = captured.out[captured.out.index("name,r,g,b") :].strip()
    (folder / "classes.csv").write_text(written)
    order = np.argsort(-expected)
    assert [line.split(",")[1:4] for line in written.splitlines()[1:]] == colours[order].astype(str).tolist()
    assert run(["data", "check", str(folder)]) == 0
    found = open_folder(folder, "all")
    pixels = sum(np.bincount(found[index].label.ravel(), minlength=4) for index in range(len(found)))
    assert pixels.tolist() == expected[order].tolist()


def test_a_list_of_classes_is_suggested_for_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "classes.txt").unlink()
    for path in (folder / "labels").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) % 3 * 40)
    assert run(["data", "check", str(folder)]) == 2
    out = capsys.readouterr().out
    (folder / "classes.csv").write_text(out[out.index("name,value") :].strip())
    assert run(["data", "check", str(folder)]) == 0
    assert "name,value" not in capsys.readouterr().out


def test_a_rare_class_is_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "classes.txt").write_text("field\nsky\nrare thing")
    for path in (folder / "labels").iterdir():
        label = np.tile(np.uint8([[0], [1]]), (24, 64))
        label[0, 0] = 2
        cv2.imwrite(str(path), label)
    assert run(["data", "check", str(folder)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    # 1 of 48 x 64 pixels, where the median class has 1535.
    assert "rare thing is 0.033 % of the labelled pixels and would weigh 1535 times the median class" in out
    assert "--balancing-exponent, --largest-weight" in out and "sky is" not in out
    assert run(["data", "weights", str(folder), "--largest-weight", "7"]) == 0
    assert rows(capsys.readouterr().out)["rare thing"][1] == "7.0000"


def test_contact_sheet(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images" / "street_0.png").write_bytes(b"")
    path = tmp_path / "sheet.png"
    assert run(["data", "check", str(folder), "--contact-sheet", str(path)]) == 2
    assert "images with their labels" in capsys.readouterr().out
    sheet = cv2.imread(str(path))
    assert sheet.shape[1] > 1000
    colours = {tuple(colour) for colour in sheet.reshape(-1, 3)[:, ::-1].tolist()}
    assert set(open_folder(folder, "all", on_fault=lambda _: None).classes.colours) <= colours  # The legend's patches.
    assert [file.name for file in tmp_path.iterdir() if "sheet" in file.name] == ["sheet.png"]


def test_rgb_labels_are_what_the_grey_ones_were(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_streets(tmp_path / "data", 8)
    grey = open_folder(root, "all")
    before = [grey[index].label for index in range(len(grey))]
    assert run(["data", "weights", str(root)]) == 0
    weights = rows(capsys.readouterr().out)
    (root / "classes.txt").unlink()
    colours = np.random.default_rng(0).permutation(64)[:, None] * [3, 1, 2] + [60, 0, 7]
    for path in (root / "labels").iterdir():
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        label[label == 255] = 11
        cv2.imwrite(str(path), colours[label][..., ::-1].astype(np.uint8))
    lines = [f"thing {i},{r},{g},{b}," for i, (r, g, b) in enumerate(colours[:12])]
    (root / "classes.csv").write_text("name,r,g,b,ignored\n" + "\n".join(lines) + "yes\n")
    after = open_dataset(f"folder:{root}", "train")
    assert after.classes.names == grey.classes.names and after.classes.colours[3] == tuple(colours[3].tolist())
    everything = open_folder(root, "all")
    for index, label in enumerate(before):
        np.testing.assert_array_equal(everything.check(index).label, label)
    assert run(["data", "weights", f"folder:{root}"]) == 0
    assert rows(capsys.readouterr().out) == weights


def test_a_run_remembers_where_its_data_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("voc2012:sets/voc") == f"voc2012:{tmp_path / 'sets' / 'voc'}"
    assert absolute("sets") == str(tmp_path / "sets")
    assert absolute("camvid") == "camvid"
