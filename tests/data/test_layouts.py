"""Published data sets in their own layout, drawn small: what is read is what was drawn, in the right split."""

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_segnet import data
from keras_segnet.data.camvid import CLASSES as CAMVID
from keras_segnet.data.camvid import ORIGINAL, read_list, split_of
from keras_segnet.errors import InputError

SIZE = (5, 7)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3)).astype(np.uint8)


def drawn(values: list[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(values, np.uint8), SIZE)


def palette_png(path: Path, indices: np.ndarray, palette: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(indices, mode="P")
    image.putpalette(palette.astype(np.uint8).ravel().tolist())
    image.save(path)


def voc(root: Path, names: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """VOC 2012 with these names in its lists; returns the labels."""
    inside, labels = root / "VOCdevkit" / "VOC2012", {}
    for split, chosen in names.items():
        for name in chosen:
            labels[name] = drawn([*range(21), 255], len(labels))
            save(inside / "JPEGImages" / f"{name}.jpg", picture(len(labels)))
            colours = np.random.default_rng(1).integers(0, 256, (256, 3))  # The index counts, whatever its colour.
            palette_png(inside / "SegmentationClass" / f"{name}.png", labels[name], colours)
        lists = inside / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text("\n".join(chosen) + "\n")
    return labels


@pytest.mark.parametrize("below", [".", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc2012(tmp_path: Path, below: str) -> None:
    labels = voc(tmp_path, {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]})
    dataset = data.open_dataset(str(tmp_path / below), "train")
    assert dataset.name == "voc2012 train" and len(dataset) == 2
    for index, name in enumerate(["2007_000032", "2007_000039"]):
        np.testing.assert_array_equal(dataset.check(index).label, labels[name])
        assert dataset.item_name(index) == name
    assert len(data.voc2012(tmp_path, "val")) == 1
    assert data.available_splits(str(tmp_path)) == ["train", "val"]
    with pytest.raises(InputError, match=r"trainval; not 'test'.*not published"):
        data.voc2012(tmp_path, "test")


def test_voc2012_has_its_own_colours() -> None:
    """Some of the table that comes with the development kit."""
    classes = data.voc2012.__globals__["CLASSES"]
    known = {"background": (0, 0, 0), "aeroplane": (128, 0, 0), "person": (192, 128, 128), "tvmonitor": (0, 64, 128)}
    assert {name: classes.colours[classes.names.index(name)] for name in known} == known


CITY_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9}
CITY_IDS |= {23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}


@pytest.mark.parametrize("kind", ["labelIds", "labelTrainIds"])
def test_cityscapes(tmp_path: Path, kind: str) -> None:
    values = list(range(34)) if kind == "labelIds" else [*range(19), 255]
    frames = {"train": ["aachen/aachen_000000_000019", "bochum/bochum_000000_000313"], "val": ["lindau/lindau_000000"]}
    labels = {}
    for split, names in frames.items():
        for name in names:
            labels[name] = drawn(values, len(labels))
            save(tmp_path / "leftImg8bit" / split / f"{name}_leftImg8bit.png", picture(0))
            save(tmp_path / "gtFine" / split / f"{name}_gtFine_{kind}.png", labels[name])
            save(tmp_path / "gtFine" / split / f"{name}_gtFine_color.png", picture(1))
    dataset = data.open_dataset(str(tmp_path), "train")
    assert dataset.name == "cityscapes train" and len(dataset.classes) == 19
    for index, name in enumerate(frames["train"]):
        stored = labels[name]
        wanted = stored if kind == "labelTrainIds" else np.vectorize(lambda value: CITY_IDS.get(value, 255))(stored)
        np.testing.assert_array_equal(dataset.check(index).label, wanted)
    assert len(data.cityscapes(tmp_path, "val")) == 1
    with pytest.raises(InputError, match="not published"):
        data.cityscapes(tmp_path, "test")
    save(tmp_path / "gtFine" / "val" / f"{frames['val'][0]}_gtFine_{kind}.png", drawn([99]))
    with pytest.raises(InputError, match=r"lindau_000000_gtFine_\w+\.png holds the label value 99; allowed are"):
        data.cityscapes(tmp_path, "val").check(0)
    (tmp_path / "gtFine" / "val" / f"{frames['val'][0]}_gtFine_{kind}.png").unlink()
    with pytest.raises(InputError, match=r"lindau_000000_gtFine_labelIds\.png is expected"):
        data.cityscapes(tmp_path, "val")


def sun(root: Path, trained: int, tested: int) -> dict[tuple[str, int], np.ndarray]:
    labels = {}
    for part, count, first in (("train", trained, 5051), ("test", tested, 1)):
        for number in range(1, count + 1):
            labels[part, number] = drawn(list(range(38)), len(labels))
            save(root / f"SUNRGBD-{part}_images" / f"img-{number:06}.jpg", picture(number))
            file = f"img-{number + first - 1:06}.png"
            save(root / "sunrgbd_train_test_labels" / file, labels[part, number])
            save(root / f"{part}13labels" / f"img13labels-{number:06}.png", labels[part, number] % 14)
    return labels


def test_sun_rgbd(tmp_path: Path) -> None:
    labels = sun(tmp_path, 12, 3)
    sets = {split: data.sun_rgbd(tmp_path, split, validation=0.25) for split in ("train", "val", "test", "trainval")}
    assert {split: len(dataset) for split, dataset in sets.items()} == {
        "train": 9, "val": 3, "test": 3, "trainval": 12,
    }  # fmt: skip
    assert not set(sets["train"].pairs) & set(sets["val"].pairs)
    assert {*sets["train"].pairs, *sets["val"].pairs} == set(sets["trainval"].pairs)
    for part, split in (("train", "trainval"), ("test", "test")):
        for index in range(len(sets[split])):
            stored = labels[part, index + 1].astype(int)
            np.testing.assert_array_equal(sets[split].check(index).label, np.where(stored == 0, 255, stored - 1))
    assert sets["train"].classes.names[:2] == ("wall", "floor") and len(sets["train"].classes) == 37
    thirteen = data.sun_rgbd(tmp_path, "test", num_classes=13)
    stored = labels["test", 2].astype(int) % 14
    np.testing.assert_array_equal(thirteen.check(1).label, np.where(stored == 0, 255, stored - 1))
    assert data.open_dataset(str(tmp_path), "test").name == "sun_rgbd test"
    (tmp_path / "sunrgbd_train_test_labels" / "img-005053.png").unlink()
    with pytest.raises(InputError, match=r"img-000003\.jpg has no label; that of number 5053"):
        data.sun_rgbd(tmp_path, "trainval")


# MATLAB's grouping of CamVid's 32 classes, class by class.
GROUPS = {
    "Sky": "Sky",
    "Building": "Bridge Building Wall Tunnel Archway",
    "Pole": "Column_Pole TrafficCone",
    "Road": "Road LaneMkgsDriv LaneMkgsNonDriv",
    "Pavement": "Sidewalk ParkingBlock RoadShoulder",
    "Tree": "Tree VegetationMisc",
    "SignSymbol": "SignSymbol Misc_Text TrafficLight",
    "Fence": "Fence",
    "Car": "Car SUVPickupTruck Truck_Bus Train OtherMoving",
    "Pedestrian": "Pedestrian Child CartLuggagePram Animal",
    "Bicyclist": "Bicyclist MotorcycleScooter",
}


def original(root: Path, names: list[str]) -> dict[str, np.ndarray]:
    """CamVid's original layout; returns the position in `ORIGINAL` of each pixel's class."""
    colours = np.array([colour for _, colour, _ in ORIGINAL], np.uint8)
    labels = {}
    for number, name in enumerate(names):
        labels[name] = drawn(list(range(32)), number)
        save(root / "701_StillsRaw_full" / f"{name}.png", picture(number))
        save(root / "LabeledApproved_full" / f"{name}_L.png", colours[labels[name]])
    (root / "label_colors.txt").write_text("".join(f"{r} {g} {b}\t\t{name}\n" for name, (r, g, b), _ in ORIGINAL))
    return labels


def test_the_original_camvid_becomes_eleven_classes(tmp_path: Path) -> None:
    names = ["0001TP_006690", "0001TP_008550", "0006R0_f00930", "0016E5_07961", "0016E5_08190", "Seq05VD_f05100"]
    labels = original(tmp_path, names)
    assert sorted(member for members in GROUPS.values() for member in members.split()) == sorted(
        name for name, _, _ in ORIGINAL if name != "Void"
    )
    expected = {member: CAMVID.names.index(group) for group, members in GROUPS.items() for member in members.split()}
    wanted = {"train": [0, 2, 4], "val": [3], "test": [1, 5]}
    for split, positions in wanted.items():
        dataset = data.open_dataset(str(tmp_path), split)
        assert [dataset.item_name(index) for index in range(len(dataset))] == [
            names[position] for position in positions
        ]
        for index, position in enumerate(positions):
            example = dataset.check(index)
            drawn_names = np.array([name for name, _, _ in ORIGINAL])[labels[names[position]]]
            classes = np.vectorize(lambda name: expected.get(name, 11))(drawn_names)
            np.testing.assert_array_equal(example.label, classes)
            np.testing.assert_array_equal(example.image, picture(position))


def test_only_the_file_that_is_known_to_be_blemished_may_have_other_colours(tmp_path: Path) -> None:
    original(tmp_path, ["Seq05VD_f02610", "Seq05VD_f02640"])
    labels = tmp_path / "LabeledApproved_full"
    for name in ("Seq05VD_f02610_L.png", "Seq05VD_f02640_L.png"):
        label = cv2.imread(str(labels / name))
        label[2, 3] = (26, 26, 27)
        cv2.imwrite(str(labels / name), label)
    dataset = data.camvid(tmp_path, "test")
    assert dataset.check(0).label[2, 3] == 11
    with pytest.raises(
        InputError, match=r"f02640_L\.png has the colour \(27, 26, 26\) at row 2, column 3, .* \(0, 0, "
    ):
        dataset.check(1)


def test_files_of_the_original_camvid_that_are_missing(tmp_path: Path) -> None:
    original(tmp_path, ["0006R0_f00930", "0006R0_f00960"])
    (tmp_path / "LabeledApproved_full" / "0006R0_f00930_L.png").unlink()
    (tmp_path / "701_StillsRaw_full" / "0006R0_f00960.png").unlink()
    faults: list[str] = []
    with pytest.raises(InputError, match="no image of CamVid's train split"):
        data.camvid(tmp_path, "train", on_fault=faults.append)
    assert len(faults) == 2 and "0006R0_f00930_L.png is expected" in faults[0] and "0006R0_f00960.png is" in faults[1]
    with pytest.raises(InputError, match=r"holiday is not named as CamVid's"):
        split_of("holiday")


def test_the_sequences_split_as_segnets_lists_do(camvid_folder: Path) -> None:
    for split in ("train", "val", "test"):
        assert {split_of(image.stem) for image, _ in read_list(camvid_folder / f"{split}.txt")} == {split}


@pytest.mark.parametrize(
    ("draw", "kind"),
    [
        (lambda root: voc(root, {"train": ["a"]}), "voc2012"),
        (lambda root: sun(root, 3, 1), "sun_rgbd"),
        (lambda root: original(root, ["0006R0_f00930"]), "camvid"),
    ],
)
def test_a_kind_can_be_said_and_a_wrong_one_is_refused(tmp_path: Path, draw: Callable, kind: str) -> None:
    draw(tmp_path)
    assert data.open_dataset(f"{kind}:{tmp_path}", "train").name == f"{kind} train"
    assert len(data.open_dataset(f"{kind}:{tmp_path}", "train")) == len(data.open_dataset(str(tmp_path), "train"))
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        data.open_dataset(f"folder:{tmp_path}", "train")


def test_a_folder_of_no_known_layout_hears_of_all(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        data.open_dataset(str(tmp_path), "train")
    assert all(
        name in str(refusal.value) for name in ("images/", "JPEGImages/", "leftImg8bit/", "SUNRGBD-", "train.txt")
    )
