"""Label files of one's own: grey, palette and RGB, with the classes that lists beside them name."""

import itertools
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from keras_segnet import data
from keras_segnet.data.camvid import CLASSES as CAMVID
from keras_segnet.data.class_list import read_class_list
from keras_segnet.data.images import read_image, read_label, refuse_damaged
from keras_segnet.data.labels import LabelCoding, packed, ranges
from keras_segnet.errors import InputError
from keras_segnet.pictures import colourize

SIZE = (6, 9)
COLOURS = {"road": (128, 64, 128), "tree": (0, 128, 0), "void": (0, 0, 0), "car": (64, 0, 128)}
CSV = "name,r,g,b,ignored\nroad,128,64,128,\ntree,0,128,0,no\nvoid,0,0,0,yes\ncar,64,0,128,false\n"
WANTED = {"road": 0, "tree": 1, "void": 255, "car": 2}


def own(root: Path, labels: dict[str, np.ndarray], **lists: str) -> Path:
    """A folder with these labels and lists, whose names have a `_` for the dot."""
    for name, label in labels.items():
        for part, array in (("images", np.zeros((*label.shape[:2], 3), np.uint8)), ("labels", label)):
            path = root / part / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
    for name, content in lists.items():
        (root / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return root


def names(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(list(COLOURS), SIZE)


def painted(seed: int) -> np.ndarray:
    return np.array([[COLOURS[name] for name in row] for row in names(seed)], np.uint8)


def assert_right(dataset: data.FileDataset) -> None:
    for index in range(len(dataset)):
        expected = [[WANTED[name] for name in row] for row in names(int(dataset.item_name(index)))]
        np.testing.assert_array_equal(dataset.check(index).label, expected)


@pytest.mark.parametrize(
    "lists",
    [
        {"classes_csv": CSV},
        {"classes_csv": "\ufeff" + CSV.replace(",", ";").replace("\n", "\r\n")},
        {"classes_csv": "".join(CSV.splitlines(keepends=True)[1:])},
        {"classes_csv": "Color,Name,Void\n#804080,road,0\n0 128 0,tree,0\n\"(0, 0, 0)\",void,1\n#400080,car,0\n"},
        {"classes_json": json.dumps([{"name": n, "colour": c, "ignored": n == "void"} for n, c in COLOURS.items()])},
        {"classes_json": json.dumps({"classes": [dict(name=n, rgb=c, void=n == "void") for n, c in COLOURS.items()]})},
    ],
)  # fmt: skip
def test_rgb_labels(tmp_path: Path, lists: dict[str, str]) -> None:
    root = own(tmp_path, {str(seed): painted(seed) for seed in range(4)}, **lists)
    dataset = data.folder(root, "all")
    assert dataset.classes.names == ("road", "tree", "car") and dataset.classes.ignored == 255
    assert dataset.classes.colours == (COLOURS["road"], COLOURS["tree"], COLOURS["car"])
    assert_right(dataset)


def test_rgba_and_other_formats_without_loss(tmp_path: Path) -> None:
    root = own(tmp_path, {"0": painted(0), "1": painted(1), "2": painted(2)}, classes_csv=CSV)
    labels = root / "labels"
    Image.fromarray(np.dstack([painted(0), np.full(SIZE, 255, np.uint8)])).save(labels / "0.png")
    for name, extension in (("1", "bmp"), ("2", "webp")):
        (labels / f"{name}.png").unlink()
        Image.fromarray(painted(int(name))).save(labels / f"{name}.{extension}", **{"lossless": True})
    assert_right(data.folder(root, "all"))


def test_a_colour_that_no_class_has(tmp_path: Path) -> None:
    label = painted(0)
    label[4, 2] = (130, 60, 128)
    root = own(tmp_path, {"0": label, "1": painted(1), "2": painted(2)}, classes_csv=CSV)
    expected = "0.png has the colour (130, 60, 128) at row 4, column 2, which no class has; the nearest that a class "
    with pytest.raises(InputError, match=re.escape(expected + "has is (128, 64, 128). 1 of 54 pixels")):
        data.folder(root, "all").check(0)


@pytest.mark.parametrize(("extension", "kind"), [("jpg", "JPEG"), ("webp", "WebP"), ("png", "JPEG")])
def test_labels_compressed_with_loss_are_refused(tmp_path: Path, extension: str, kind: str) -> None:
    """Whatever the file is called."""
    path = tmp_path / f"label.{extension}"
    Image.fromarray(painted(0)).save(path, format="WEBP" if kind == "WebP" else "JPEG")
    with pytest.raises(InputError, match=rf"label\.{extension} is a {kind} image.*save labels as PNG"):
        read_label(path)


def test_grey_labels_with_a_list_are_read_by_the_position_of_the_entry(tmp_path: Path) -> None:
    position = {name: index for index, name in enumerate(COLOURS)}
    grey = {str(seed): np.array([[position[n] for n in row] for row in names(seed)], np.uint8) for seed in range(3)}
    assert_right(data.folder(own(tmp_path / "plain", grey, classes_csv=CSV), "all"))
    grey = {name: np.where(label == 2, 255, label * 10) for name, label in grey.items()}
    csv = "name,value\nroad,0\ntree,10\ncar,30\n"
    assert_right(data.folder(own(tmp_path / "values", grey, classes_csv=csv), "all"))


def test_a_mask_of_0_and_255(tmp_path: Path) -> None:
    labels = {str(seed): np.where(names(seed) == "car", 255, 0).astype(np.uint8) for seed in range(3)}
    root = own(tmp_path, labels)
    with pytest.raises(InputError, match=r"0 and 255 only.*classes\.csv"):
        data.folder(root, "all")
    (root / "classes.csv").write_text("name,r,g,b\nrest,0,0,0\ncar,255,255,255\n")
    for name in ("1", "2"):  # The same mask as RGB.
        Image.fromarray(np.repeat(labels[name][..., None], 3, axis=-1)).save(root / "labels" / f"{name}.png")
    dataset = data.folder(root, "all")
    for index in range(3):
        np.testing.assert_array_equal(dataset.check(index).label, names(index) == "car")
    # The greys are codes: in pictures the classes and ignored pixels can be told apart.
    shown = [*dataset.classes.colours, dataset.classes.ignored_colour]
    assert min(abs(np.subtract(a, b)).max() for a, b in itertools.combinations(shown, 2)) > 60
    # A mask of 0 and 1 is read by position; one that mixes the two ways is not.
    Image.fromarray(labels["0"] // 255).save(root / "labels" / "0.png")
    np.testing.assert_array_equal(dataset.check(0).label, names(0) == "car")
    labels["1"][:2, :2] = [[0, 1], [255, 0]]
    Image.fromarray(labels["1"]).save(root / "labels" / "1.png")
    with pytest.raises(
        InputError, match=r"1\.png holds the label value 1; allowed are 0, 255 \(or, in all of a file, 0"
    ):
        dataset.check(1)


@pytest.mark.parametrize(
    ("csv", "stored", "expected"),
    [
        ("a,0,0,0\nb,128,128,128\nc,255,255,255\n", [0, 128, 255], [0, 1, 2]),
        ("a,0,0,0\nb,128,128,128\nc,255,255,255\n", [2, 1, 0, 255], None),  # 255 is a class, and no position.
        ("a,0,0,0\nb,128,128,128\nc,254,254,254\n", [2, 1, 0, 255], [2, 1, 0, 255]),
        ("a,0,0,0\nb,255,255,255\nx,128,128,128,yes\n", [0, 255, 128], [0, 1, 255]),
        ("a,0,0,0\nb,255,255,255\nx,128,128,128,yes\n", [0, 1, 2], [0, 1, 255]),
        ("a,255,255,255\nb,0,0,0\n", [255, 0], [0, 1]),
        ("a,255,255,255\nb,0,0,0\n", [1, 0], None),  # Position 0 is a, grey 0 is b: only greys count.
        ("a,1,1,1\nb,2,2,2\n", [1, 2], [0, 1]),
        ("a,1,1,1\nb,2,2,2\n", [0, 1], None),
        ("a,9,9,9\nb,1,2,3\n", [0, 1], [0, 1]),  # Not all are greys.
        ("a,9,9,9\nb,1,2,3\n", [9, 1], None),
    ],
)
def test_one_rule_for_grey_labels(tmp_path: Path, csv: str, stored: list[int], expected: list[int] | None) -> None:
    (tmp_path / "classes.csv").write_text("name,r,g,b,ignored\n" + csv)
    Image.fromarray(np.array([stored], np.uint8)).save(tmp_path / "x.png")
    found = read_class_list(tmp_path)
    assert found is not None
    if expected is None:
        with pytest.raises(InputError, match=r"x\.png holds the label value"):
            found.coding.read(tmp_path / "x.png")
    else:
        assert found.coding.read(tmp_path / "x.png").tolist() == [expected]


def test_a_black_class_and_ignored_pixels_can_be_told_apart(tmp_path: Path) -> None:
    classes = data.Classes(("rest", "thing"), ((0, 0, 0), (200, 0, 0)), 255)
    painted = colourize(np.array([[0, 1, 255]], np.uint8), classes)
    assert painted[0, 0].tolist() == [0, 0, 0] and painted[0, 2].min() > 100
    assert colourize(np.array([[255]], np.uint8), CAMVID).tolist() == [[[0, 0, 0]]]


def palette_label(path: Path, seed: int, order: list[str]) -> None:
    """The label as a palette PNG in which a class has the index of its name's place in `order`."""
    image = Image.fromarray(np.array([[order.index(n) for n in row] for row in names(seed)], np.uint8), mode="P")
    image.putpalette([part for name in order for part in COLOURS[name]])
    image.save(path)


def test_palette_labels_are_read_by_index(tmp_path: Path) -> None:
    root = own(tmp_path, {str(seed): painted(seed) for seed in range(3)}, classes_csv=CSV)
    for seed in range(3):
        palette_label(root / "labels" / f"{seed}.png", seed, list(COLOURS))
    assert_right(data.folder(root, "all"))
    palette_label(root / "labels" / "1.png", 1, ["car", "void", "tree", "road"])
    with pytest.raises(
        InputError, match=r"1\.png is a palette image in which the index 0 has the colour \(64, 0, 128\)"
    ):
        data.folder(root, "all").check(1)
    (root / "classes.csv").unlink()  # Without colours there is nothing to contradict.
    stored = data.folder(root, "all", num_classes=4)[1].label
    np.testing.assert_array_equal(stored, [[["car", "void", "tree", "road"].index(n) for n in r] for r in names(1)])


def test_rgb_labels_without_a_list_hear_what_is_missing(tmp_path: Path) -> None:
    root = own(tmp_path, {str(seed): painted(seed) for seed in range(3)})
    with pytest.raises(InputError, match=r"0\.png has 3 channels.*classes\.csv.*name,r,g,b"):
        data.folder(root, "all")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("classes.csv", "name,r,g,b\nroad,1,2,300\n", "line 2: a colour is made of whole numbers 0 to 255, not '300'"),
        ("classes.csv", "name,r,g,b\nroad,1,2,3\ncar,,,\n", "line 3: 'car' has no colour, though others have"),
        ("classes.csv", "name,r,g,b\na,1,2,3\nb,1,2,3\n", "line 3: 'b' has the colour (1, 2, 3), which another"),
        ("classes.csv", "name,value\na,1\nb,1\n", "line 3: 'b' has the value 1, which another entry has too"),
        ("classes.csv", "name,colour\na,128,64,128\n", "line 2: 4 columns, where 2 are named"),
        ("classes.csv", "name,colour\na,blue\nb,red\n", "line 2: a colour is three numbers 0 to 255 or #rrggbb"),
        ("classes.csv", "name,ignored\na,maybe\nb,\n", "line 2: ignored must be yes or no, not 'maybe'"),
        ("classes.csv", "name,r,g,b\n,1,2,3\n", "line 2: there is no name"),
        ("classes.csv", "name,r,g,b\nroad,1,2,3\n", "num_classes must be 2 to 255"),
        ("classes.csv", "\n", "classes.csv is empty"),
        ("classes.json", "{", "is no JSON"),
        ("classes.json", "[1, 2]", "is not a list of objects"),
        ("classes.json", '[{"name": "a", "colour": 7}]', "class 0: a colour is three numbers"),
    ],
)
def test_faulty_lists_of_classes(tmp_path: Path, name: str, content: str, expected: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=re.escape(expected)) as refusal:
        read_class_list(tmp_path)
    assert name in str(refusal.value)


def test_entries_of_one_name_are_one_class(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("name,r,g,b\nwall,1,1,1\nroad,2,3,4\nwall,5,6,7\n")
    found = read_class_list(tmp_path)
    assert found is not None and found.classes.names == ("wall", "road")
    assert found.classes.colours == ((1, 1, 1), (2, 3, 4))
    assert found.coding.colours == {(1, 1, 1): 0, (2, 3, 4): 1, (5, 6, 7): 0}
    assert found.coding.values == {0: 0, 1: 1, 2: 0, 255: 255}


def test_nested_folders_and_lists(tmp_path: Path) -> None:
    labels = {f"{town}/{i}": np.array([[i, 1 - i]], np.uint8) for town in ("a", "b/c") for i in (0, 1)}
    root = own(tmp_path, labels)
    (root / "images" / "b" / ".ipynb_checkpoints").mkdir()
    (root / "images" / "b" / ".ipynb_checkpoints" / "0.png").write_bytes(b"")
    everything = data.folder(root, "all")
    assert len(everything) == 4
    assert [everything.item_name(i) for i in range(4)] == ["a_0", "a_1", "b_c_0", "b_c_1"]
    for split, lines in (("train", "a/0.png\nb\\c\\1\n"), ("val", "a/1"), ("test", "b/c/0")):
        (root / f"{split}.txt").write_text(lines)
    training = data.folder(root, "train")
    assert [image.relative_to(root / "images").as_posix() for image, _ in training.pairs] == ["a/0.png", "b/c/1.png"]
    np.testing.assert_array_equal(training.check(1).label, [[1, 0]])


def test_images_and_labels_that_have_no_counterpart_are_all_told(tmp_path: Path) -> None:
    root = own(tmp_path, {str(i): np.array([[0, 1]], np.uint8) for i in range(6)})
    (root / "labels" / "2.png").unlink()
    (root / "labels" / "4.png").unlink()
    (root / "images" / "5.png").unlink()
    faults: list[str] = []
    assert len(data.folder(root, "all", on_fault=faults.append)) == 3
    assert [("2.png" in faults[0]), ("4.png" in faults[1]), ("5.png has no image" in faults[2])] == [True] * 3
    with pytest.raises(InputError, match=r"2\.png has no label"):
        data.folder(root)


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("extension", ["png", "tif"])
def test_images_of_8_and_16_bits(tmp_path: Path, channels: tuple[int, ...], dtype: type, extension: str) -> None:
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (*SIZE, *channels)).astype(dtype)
    path = tmp_path / f"image.{extension}"
    cv2.imwrite(str(path), array)  # OpenCV's order is blue, green, red.
    eight_bits = array if dtype == np.uint8 else np.rint(array / 257)
    expected = eight_bits[..., 2::-1] if channels else np.repeat(eight_bits[..., None], 3, axis=-1)
    refuse_damaged(path)
    np.testing.assert_array_equal(read_image(path), expected)


def test_an_image_of_floating_point_numbers_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "x.tif"), np.zeros((*SIZE, 3), np.float32))
    with pytest.raises(InputError, match=r"x\.tif has pixels of float32; an image has 8 or 16 bits"):
        read_image(tmp_path / "x.tif")


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9).map(lambda s: (*s, 3))))
def test_packed_colours_are_their_digits_in_base_256(colours: np.ndarray) -> None:
    wide = colours.astype(np.int64)
    np.testing.assert_array_equal(packed(colours), wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2])


@given(st.sets(st.integers(0, 20)))
def test_ranges_read_back(values: set[int]) -> None:
    read: set[int] = set()
    for part in filter(None, ranges(values).split(", ")):
        first, _, last = part.partition(" to ")
        read |= set(range(int(first), int(last or first) + 1))
    assert read == values


def test_values_that_no_class_has(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 3, 9]], np.uint8)).save(tmp_path / "x.png")
    coding = LabelCoding({0: 0, 1: 1, 2: 2, 7: 3, 255: 255}, ignored=255)
    with pytest.raises(InputError, match=r"holds the label value 3; allowed are 0 to 2, 7, or 255 for ignored pixels"):
        coding.read(tmp_path / "x.png")
