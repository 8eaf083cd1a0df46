"""Every kind of data set: opened by its folder alone, split without overlap, checked, and faulty files named.

A kind gets all of these tests by being registered. Its folder is drawn by `FOLDERS`, where that takes more than pairs
of files, or else as the docstring of its module shows it.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from label_tools import TOOLS
from PIL import Image
from test_layouts import CITY_IDS, drawn, original, picture, save, sun, voc

from keras_segnet import data
from keras_segnet.cli.main import run
from keras_segnet.data.kinds import KINDS
from keras_segnet.data.open import kind_and_path
from keras_segnet.errors import InputError


def cityscapes(root: Path) -> None:
    for split, names in (
        ("train", ("aachen_000000_000019", "aachen_000001_000019")),
        ("val", ("lindau_000000_000019",)),
    ):
        for seed, name in enumerate(names):
            inside = Path(split) / name.partition("_")[0]
            save(root / "leftImg8bit" / inside / f"{name}_leftImg8bit.png", picture(seed))
            save(root / "gtFine" / inside / f"{name}_gtFine_labelIds.png", drawn(list(CITY_IDS), seed))


def camvid(root: Path) -> None:
    original(root, ["0001TP_006690", "0006R0_f00930", "0016E5_07961", "Seq05VD_f05100"])


FOLDERS: dict[str, Callable[[Path], object]] = {
    "voc2012": lambda root: voc(root, {"train": ["a", "b"], "val": ["c"]}),
    "cityscapes": cityscapes,
    "sun_rgbd": lambda root: sun(root, 4, 2),
    "camvid": camvid,
    **{kind: make for make, kind in TOOLS.values()},
}


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def draw_pairs(root: Path, docstring: str) -> None:
    """The images and labels whose paths indented lines of a docstring show, a pair each; labels hold 0 and 1."""
    pairs = re.findall(r"^    (\S+/\S+\.\w+) +(\S+/\S+\.\w+)$", docstring, re.MULTILINE)
    assert pairs, "the docstring shows no pair of an image and a label"
    for seed, (image, label) in enumerate(pairs):
        save(root / image, picture(seed))
        save(root / label, drawn([0, 1], seed))


@pytest.fixture
def root(kind: str, tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder.mkdir()
    if kind in FOLDERS:
        FOLDERS[kind](folder)
    else:
        draw_pairs(folder, sys.modules[KINDS[kind].open.__module__].__doc__ or "")
    return folder


def files(dataset: data.SegmentationDataset) -> list[Path]:
    """The image files of a data set that consists of files, in its order."""
    items = dataset.pairs if isinstance(dataset, data.FileDataset) else dataset.items
    return [first for first, _ in items]


def test_a_folder_tells_its_kind(kind: str, root: Path) -> None:
    assert kind_and_path(str(root)) == (kind, root)
    assert kind_and_path(f"{kind}:{root}") == (kind, root)


def test_splits_share_no_image_and_all_can_be_read(kind: str, root: Path) -> None:
    splits = data.available_splits(str(root))
    assert splits and set(splits) <= {"train", "val", "test"}
    seen: list[Path] = []
    for split in splits:
        dataset = data.open_dataset(str(root), split)
        assert len(dataset) == len(files(dataset)) >= 1
        assert files(data.open_dataset(str(root), split)) == files(dataset)  # The same every time.
        names = [dataset.item_name(index) for index in range(len(dataset))]
        assert len(set(names)) == len(names)
        classes = dataset.classes
        assert len(classes) == len(classes.colours) == len(set(classes.names)) >= 2
        for index in range(len(dataset)):
            image, label = dataset.check(index)
            assert image.dtype == label.dtype == np.uint8
            assert image.shape == (*label.shape, 3)
            assert set(np.unique(label).tolist()) <= {*range(len(classes)), classes.ignored}
        survey = data.survey(dataset)
        assert survey.counts.sum() == sum(label.size for _, label in (dataset[i] for i in range(len(dataset))))
        seen += files(dataset)
    assert len(set(seen)) == len(seen)
    with pytest.raises(InputError, match="split must be one of"):
        data.open_dataset(str(root), "dusk")


def test_data_check_finds_no_fault_and_then_the_one_that_is_planted(
    kind: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "check", str(root)]) == 0
    assert "No fault was found." in capsys.readouterr().out
    victim = files(data.open_dataset(str(root), "train"))[0]
    victim.write_bytes(victim.read_bytes()[:60])
    assert run(["data", "check", str(root)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and str(victim) in lines[0] and lines[1] == f"keras-segnet: 1 fault in {root}."


def test_an_image_that_is_gone(kind: str, root: Path) -> None:
    victim = files(data.open_dataset(str(root), "train"))[0]
    victim.unlink()
    faults: list[str] = []
    whole = sum(len(data.open_dataset(str(root), split, faults.append)) for split in data.available_splits(str(root)))
    assert whole >= 1
    if kind not in ("sun_rgbd", "yolo"):  # Which number their images, or take those that are there.
        assert any(victim.stem.removesuffix("_leftImg8bit") in fault for fault in faults)


def test_sizes_may_differ_between_images_but_not_within_a_pair(kind: str, root: Path) -> None:
    dataset = data.open_dataset(str(root), "train")
    victim = files(dataset)[0]
    with Image.open(victim) as image:
        image.resize((image.width + 3, image.height + 1)).save(victim)
    if kind == "yolo":  # Its corners are shares of whatever size the image has.
        dataset = data.open_dataset(str(root), "train")
        assert dataset.check(0).label.shape == dataset.check(0).image.shape[:2]
        return
    with pytest.raises(InputError, match=r"\d+x\d+"):
        dataset.check(0)


def test_a_photograph_on_its_side_is_turned_as_its_label_expects(kind: str, root: Path) -> None:
    """EXIF says that the stored pixels are to be turned; the label is one of the image as it is seen."""
    dataset = data.open_dataset(str(root), "train")
    victim, before = files(dataset)[0], dataset[0]
    exif = Image.Exif()
    exif[274] = 6  # The stored rows are columns of the image, from its right side on.
    stored = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.rot90(before.image))).save(stored, "PNG", exif=exif)
    victim.write_bytes(stored.getvalue())  # Whatever the file is called.
    after = data.open_dataset(str(root), "train").check(0)
    np.testing.assert_array_equal(after.image, before.image)
    np.testing.assert_array_equal(after.label, before.label)


def test_any_kind_is_converted_to_a_folder(kind: str, root: Path, tmp_path: Path) -> None:
    splits = data.available_splits(str(root))
    data.convert(str(root), tmp_path / "own")
    assert data.available_splits(str(tmp_path / "own")) == splits
    before = [data.open_dataset(str(root), split) for split in splits]
    after = [data.open_dataset(str(tmp_path / "own"), split) for split in splits]
    examples = [{(e.image.tobytes(), np.where(e.label < len(d.classes), e.label, 255).tobytes())
                 for d in sets for e in (d[i] for i in range(len(d)))} for sets in (before, after)]  # fmt: skip
    assert examples[0] == examples[1]
    assert after[0].classes.names == before[0].classes.names


def test_streets_are_a_data_set_too() -> None:
    for split in data.available_splits("streets"):
        dataset = data.open_dataset("streets", split)
        image, label = dataset.check(len(dataset) - 1)
        assert image.shape == (*label.shape, 3) and label.max() <= len(dataset.classes)
