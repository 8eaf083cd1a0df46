"""CamVid's published layout, a folder of one's own, and drawn streets."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_segnet import data
from keras_segnet.data.camvid import CONTENT_SHA256, content_sha256, read_list
from keras_segnet.data.images import read_image, read_label, refuse_damaged, resize_label, write_png
from keras_segnet.errors import InputError

CLASSES = data.Classes(("a", "b"), ((0, 0, 0), (9, 9, 9)), 255)
PAIR = (np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3), (np.arange(48) % 3).astype(np.uint8).reshape(6, 8))


def write_pair(image: Path, label: Path) -> None:
    for path, array in ((image, PAIR[0][..., ::-1]), (label, PAIR[1])):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), array)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """CamVid's layout with the absolute paths of somebody else's machine, Windows's among them."""
    for split in ("train", "val", "test"):
        write_pair(tmp_path / split / "a.png", tmp_path / f"{split}annot" / "a.png")
    (tmp_path / "train.txt").write_text("/SegNet/CamVid/train/a.png /SegNet/CamVid/trainannot/a.png\n\n")
    (tmp_path / "val.txt").write_text("C:\\SegNet\\val\\a.png\tC:\\SegNet\\valannot\\a.png")
    (tmp_path / "test.txt").write_text("test/a.png testannot/a.png\r\n")
    return tmp_path


@pytest.mark.parametrize(
    "lines",
    [
        "images/a/0.png\nimages/1.png",
        "./images/a/0\n/home/me/set/images/1.png",
        "my set\\images\\a\\0.png\n1",
        "images/a/0.png labels/a/0.png\n/x/images/1.png\t/x/labels/1.png",
    ],
)
def test_a_list_may_have_folders_before_a_name_and_its_label_behind_it(tmp_path: Path, lines: str) -> None:
    for name in ("a/0", "1", "2"):
        write_pair(tmp_path / "images" / f"{name}.png", tmp_path / "labels" / f"{name}.png")
    (tmp_path / "train.txt").write_text(lines)
    images = [image.relative_to(tmp_path / "images").as_posix() for image, _ in data.folder(tmp_path).pairs]
    assert images == ["a/0.png", "1.png"]
    (tmp_path / "train.txt").write_text("images/1.png labels/2.png")
    with pytest.raises(InputError, match=r"line 1: there is no image images/1\.png labels/2\.png"):
        data.folder(tmp_path)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_lists_with_somebodys_absolute_paths(published: Path, split: str) -> None:
    dataset = data.camvid(published, split)
    assert len(dataset) == 1
    np.testing.assert_array_equal(dataset[0].image, PAIR[0])
    np.testing.assert_array_equal(dataset[0].label, PAIR[1])
    assert dataset.pairs[0] == (published / split / "a.png", published / f"{split}annot" / "a.png")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("train/a.png", "line 1: 'train/a.png' is not an image path and a label path"),
        ("train/a.png trainannot/a.png\na b c", "line 2"),
        ("train/b.png trainannot/a.png", "the image train/b.png was not found"),
        ("train/a.png ../../trainannot/zz.png", "the label ../../trainannot/zz.png was not found"),
        ("\n \n", "empty split"),
    ],
)
def test_faulty_lists(published: Path, content: str, expected: str) -> None:
    (published / "train.txt").write_text(content)
    with pytest.raises(InputError, match=re.escape(expected)):
        data.camvid(published)


def test_missing_list_folder_and_split(published: Path) -> None:
    (published / "val.txt").unlink()
    for arguments, name in (((published, "val"), "val.txt"), ((published / "no",), "no"), ((published, "all"), "all")):
        with pytest.raises(InputError, match=re.escape(name)):
            data.camvid(*arguments)


def test_a_binary_list_is_refused(published: Path) -> None:
    (published / "train.txt").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match=r"train\.txt"):
        read_list(published / "train.txt")


def test_the_real_camvid(camvid_folder: Path) -> None:
    assert [len(data.camvid(camvid_folder, split)) for split in ("train", "val", "test")] == [367, 101, 233]
    example = data.camvid(camvid_folder, "test").check(0)
    assert example.image.shape == (360, 480, 3) and example.label.shape == (360, 480)
    assert content_sha256(camvid_folder) == CONTENT_SHA256


def own_folder(root: Path, count: int, values: int = 3) -> Path:
    for i in range(count):
        write_pair(root / "images" / f"{i:02}.png", root / "labels" / f"{i:02}.png")
    return root


def test_a_folder_is_dealt_out_by_seed_without_overlap(tmp_path: Path) -> None:
    root = own_folder(tmp_path, 20)
    parts = {split: {p[0].stem for p in data.folder(root, split).pairs} for split in ("train", "val", "test", "all")}
    assert [len(parts[split]) for split in ("train", "val", "test", "all")] == [14, 3, 3, 20]
    assert parts["train"] | parts["val"] | parts["test"] == parts["all"]
    again = {p[0].stem for p in data.folder(root, "val").pairs}
    other = {p[0].stem for p in data.folder(root, "val", seed=1).pairs}
    assert again == parts["val"] != other


def test_a_folder_follows_its_lists(tmp_path: Path) -> None:
    root = own_folder(tmp_path, 4)
    for split, names in (("train", "00\n02.png\n"), ("val", "01"), ("test", "03")):
        (root / f"{split}.txt").write_text(names)
    assert [p[0].name for p in data.folder(root).pairs] == ["00.png", "02.png"]
    assert data.available_splits(str(root)) == ["train", "val", "test"]
    (root / "test.txt").unlink()
    assert data.available_splits(str(root)) == ["train", "val"]
    with pytest.raises(InputError, match=r"test\.txt"):
        data.folder(root, "test")


def test_the_number_of_classes_of_a_folder(tmp_path: Path) -> None:
    root = own_folder(tmp_path, 3)
    assert len(data.folder(root).classes) == 3  # The labels hold 0, 1, 2.
    assert len(data.folder(root, num_classes=11).classes) == 11
    assert data.folder(root, num_classes=11).classes.names[::10] == ("class 0", "class 10")  # Not CamVid's.
    (root / "classes.txt").write_text("field\nweed\nsoil\nstone\n")
    assert data.folder(root).classes.names == ("field", "weed", "soil", "stone")
    assert len(set(data.folder(root, num_classes=4).classes.colours)) == 4
    with pytest.raises(InputError, match="4 class names for 5"):
        data.folder(root, num_classes=5)


def test_ignored_pixels_of_a_folder(tmp_path: Path) -> None:
    root = own_folder(tmp_path, 3)
    assert len(data.folder(root, ignore_class=2).classes) == 2
    dataset = data.folder(root, "all", num_classes=2, ignore_class=2)
    assert data.count_classes(dataset).pixels.tolist() == [48, 48, 48]
    with pytest.raises(InputError, match=r"label value 2; allowed are 0 to 1, or 255"):
        data.folder(root, num_classes=2).check(0)


def test_a_written_folder_reads_back_as_it_was(tmp_path: Path) -> None:
    splits = {split: data.street_scenes(split, 3, (24, 32)) for split in ("train", "val", "test")}
    data.write_folder(tmp_path / "streets", splits)
    for split, dataset in splits.items():
        read = data.folder(tmp_path / "streets", split)
        assert read.classes.names == dataset.classes.names and read.classes.ignored == 255
        for index in range(3):
            image, label = read.check(index)
            np.testing.assert_array_equal(image, dataset[index].image)
            np.testing.assert_array_equal(np.where(label == 255, 11, label), dataset[index].label)
    with pytest.raises(InputError, match="exists already"):
        data.write_folder(tmp_path / "streets", splits)


class Named(data.SegmentationDataset):
    """Examples of one grey each, under these names."""

    def __init__(self, names: list[str], first: int = 0, classes: data.Classes = CLASSES) -> None:
        self.name, self.names, self.first, self.classes = "named", names, first, classes

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> data.Example:
        return data.Example(np.full((2, 3, 3), self.first + index, np.uint8), np.full((2, 3), index % 2, np.uint8))

    def item_name(self, index: int) -> str:
        return self.names[index]


def test_examples_of_one_name_are_all_written(tmp_path: Path) -> None:
    """In one split and in two; and names that are alike to a file system, or that no list could hold."""
    names = ["a", "a", "A", "a/b", "a_b", "a.png", ".hidden", " b ", "c\nd", "\ud800", "../out"]
    splits = {"train": Named(names), "val": Named(["a", "a.jpg"], 100), "test": Named(["z"], 200)}
    data.write_folder(tmp_path / "new", splits)
    for split, dataset in splits.items():
        read = data.folder(tmp_path / "new", split)
        assert len(read) == len(dataset)
        for index in range(len(dataset)):
            np.testing.assert_array_equal(read.check(index).image, dataset[index].image)
            np.testing.assert_array_equal(read.check(index).label, dataset[index].label)
    assert len(list((tmp_path / "new" / "images").iterdir())) == 14
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_splits_of_different_classes_are_not_written(tmp_path: Path) -> None:
    other = data.Classes(("b", "a"), CLASSES.colours, 255)
    with pytest.raises(InputError, match="same classes"):
        data.write_folder(tmp_path / "new", {"train": Named(["a"]), "val": Named(["b"], classes=other)})
    assert not (tmp_path / "new").exists()


def test_images_of_a_list_that_have_one_name(tmp_path: Path) -> None:
    """Stems that are alike, with and without folders before them."""
    written = ["x/a.png", "x/a.bmp", "y_a.png", "y/a.png", "Y/A.png"]
    pairs = []
    for name in written:
        write_pair(tmp_path / name, tmp_path / name)
        pairs.append((tmp_path / name, tmp_path / name))
    dataset = data.FileDataset("listed", CLASSES, tuple(pairs))
    assert [dataset.item_name(i) for i in range(5)] == ["x_a", "x_a_2", "y_a", "y_a_2", "Y_A_3"]


def test_more_classes_than_a_label_can_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="num_classes must be at most 255; there are 256"):
        data.Classes(tuple(map(str, range(256))), ((0, 0, 0),) * 256)
    root = own_folder(tmp_path, 3)
    for count in (256, 300):
        for name, line in (("classes.txt", "{}"), ("classes.csv", "{},{},{},{}")):
            lines = [line.format(f"c{i}", i % 256, i // 256, 7) for i in range(count)]
            (root / name).write_text("\n".join(lines))
            with pytest.raises(InputError, match=f"num_classes must be 2 to 255; .* has {count}"):
                data.folder(root)
            (root / name).unlink()


def test_open_dataset_tells_the_kinds_apart(tmp_path: Path, published: Path) -> None:
    assert isinstance(data.open_dataset(str(own_folder(tmp_path / "own", 3)), "val"), data.FileDataset)
    assert data.open_dataset(str(published), "val").name == "camvid val"
    assert data.open_dataset("streets", "test").name == "streets test"
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="neither"):
        data.open_dataset(str(tmp_path / "empty"), "train")


def test_drawn_streets_share_no_scene_and_follow_the_seed() -> None:
    sets = [data.street_scenes(split, 3, (24, 32), seed) for split in ("train", "val", "test") for seed in (0, 1)]
    images = [dataset[i].image.tobytes() for dataset in sets for i in range(3)]
    assert len(set(images)) == len(images)
    assert data.street_scenes("val", 3, (24, 32), 1)[2].image.tobytes() == images[3 * 3 + 2]
    assert len(data.street_scenes()) == 200 and data.street_scenes()[0].image.shape == (180, 240, 3)
    for arguments in (("dusk",), ("train", 0), ("train", 3, (24, 32), -1)):
        with pytest.raises(InputError):
            data.street_scenes(*arguments)


def test_images_are_rgb_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "red.jpg"
    cv2.imwrite(str(path), np.full((40, 40, 3), (0, 0, 255), np.uint8))
    assert read_image(path)[20, 20].tolist()[0] > 240
    path.write_bytes(path.read_bytes()[:-30])  # OpenCV alone would fill the rest with grey.
    with pytest.raises(InputError, match=r"red\.jpg is a damaged image"):
        refuse_damaged(path)
    with pytest.raises(InputError, match="does not exist"):
        read_label(tmp_path / "none.png")


def test_write_png_leaves_no_partial_file(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", PAIR[0])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PAIR[0])
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_label_is_resized_to_the_nearest_value() -> None:
    label = np.array([[3, 7], [9, 1]], np.uint8)
    expected = np.kron(label, np.ones((3, 2), np.uint8))
    np.testing.assert_array_equal(resize_label(label, (6, 4)), expected)
    np.testing.assert_array_equal(resize_label(expected, (2, 2)), label)
