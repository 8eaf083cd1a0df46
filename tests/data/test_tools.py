"""Exports of label tools in their real layout: every pixel of the label is known by hand."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_tools import (
    CAR,
    EXPECTED,
    SIZE,
    TOOLS,
    TREE,
    coco_content,
    coco_folder,
    cvat_masks,
    flat,
    packed_brush,
    picture,
    write,
    yolo_folder,
)
from PIL import Image

from keras_segnet import data
from keras_segnet.cli.main import run
from keras_segnet.data import polygons
from keras_segnet.data.kinds import KINDS
from keras_segnet.data.open import kind_and_path
from keras_segnet.data.tools import coco, label_studio
from keras_segnet.errors import InputError


def by_name(dataset: data.SegmentationDataset, index: int) -> np.ndarray:
    """The label with 0 for background, 1 for car and 2 for tree, in whatever order the tool has them."""
    label = dataset.check(index).label
    names = [{"background": 0, "_background_": 0, "car": 1, "tree": 2}[name] for name in dataset.classes.names]
    return np.array(names, np.uint8)[label]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tools_export_is_recognised_read_and_converted(tool: str, tmp_path: Path) -> None:
    make, kind = TOOLS[tool]
    root = make(tmp_path / "export")
    assert kind_and_path(str(root))[0] == kind
    splits = data.available_splits(str(root))
    assert splits == (["train", "val"] if tool == "yolo" else ["train", "val", "test"])
    found = {split: data.open_dataset(str(root), split) for split in splits}
    assert sum(map(len, found.values())) == 4
    for dataset in found.values():
        assert len(dataset.classes) == len(set(dataset.classes.colours)) == 3 and dataset.classes.ignored == 255
        for index in range(len(dataset)):
            np.testing.assert_array_equal(by_name(dataset, index), EXPECTED)
    assert run(["data", "convert", str(root), str(tmp_path / "own")]) == 0
    assert kind_and_path(str(tmp_path / "own"))[0] == "folder"
    assert data.available_splits(str(tmp_path / "own")) == splits
    written = data.folder(tmp_path / "own", "all")
    assert written.classes == next(iter(found.values())).classes
    assert len(written) == 4
    for index in range(4):
        np.testing.assert_array_equal(by_name(written, index), EXPECTED)
    originals = {dataset[i].image.tobytes() for dataset in found.values() for i in range(len(dataset))}
    assert {written[i].image.tobytes() for i in range(4)} == originals
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "own"]


def opened(root: Path, split: str = "all") -> data.SegmentationDataset:
    kind, path = kind_and_path(str(root))
    return KINDS[kind].open(path, split)


def test_coco_parts_crowds_and_runs(tmp_path: Path) -> None:
    """A thing in two parts that overlap is full in both; a crowd lies below, wherever it stands; runs go by column."""
    picture(tmp_path / "deep" / "a.png")
    images = [{"id": 1, "file_name": "deep/a.png", "height": 8, "width": 10}]
    parts = [
        flat([[0, 0], [3, 0], [3, 2], [0, 2]]),
        flat([[2, 0], [4, 0], [4, 2], [2, 2]]),
    ]  # 8 pixels, 1 of them twice
    crowd = {"size": [8, 10], "counts": [8, 40, 32]}  # Columns 1 to 5.
    runs = {"size": [8, 10], "counts": "h14D"}
    annotations = [
        {"image_id": 1, "category_id": 3, "iscrowd": 0, "segmentation": parts},
        {"image_id": 1, "category_id": 7, "iscrowd": 1, "segmentation": crowd},
        {"image_id": 1, "category_id": 7, "iscrowd": 0, "segmentation": []},
    ]
    file = write(tmp_path / "labels.json", coco_content(images, annotations))
    dataset = opened(tmp_path)
    assert dataset.classes.names == ("background", "car", "tree")
    expected = np.zeros(SIZE, np.uint8)
    expected[:, 1:6] = 2
    expected[:2, :4] = 1
    np.testing.assert_array_equal(dataset.check(0).label, expected)
    np.testing.assert_array_equal(opened(file).check(0).label, expected)  # The file says the same as its folder.
    # 8 is one character, 40 and 32 are two each; the fourth length is the difference to the second.
    assert coco.decoded("8X1P1") == [8, 40, 32] and coco.decoded("111O") == [1, 1, 1, 0]
    annotations[1]["segmentation"] = {"size": [8, 10], "counts": "8X1P1"}
    write(file, coco_content(images, annotations))
    np.testing.assert_array_equal(opened(file).check(0).label, expected)
    annotations[1]["segmentation"] = {"size": [8, 11], "counts": runs["counts"]}
    write(file, coco_content(images, annotations))
    with pytest.raises(
        InputError, match=r"labels\.json: a shape 'tree' of deep/a\.png cannot be drawn: run lengths for"
    ):
        opened(file).check(0)


def test_coco_files_of_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / f"{split}2017" / "a.png", len(split))
        images = [{"id": 1, "file_name": "a.png", "height": 8, "width": 10}]
        annotations = [{"image_id": 1, "category_id": 3, "segmentation": [flat(CAR)]}]
        write(tmp_path / "annotations" / f"instances_{split}2017.json", coco_content(images, annotations))
        write(tmp_path / "annotations" / f"person_keypoints_{split}2017.json", coco_content(images, []))
    # Both images are called a.png: the tool's file does not say which is whose.
    with pytest.raises(InputError, match=r"a\.png was not found below|several"):
        data.open_dataset(str(tmp_path), "train")
    (tmp_path / "val2017" / "a.png").rename(tmp_path / "val2017" / "b.png")
    file = tmp_path / "annotations" / "instances_val2017.json"
    write(file, json.loads(file.read_text().replace("a.png", "b.png")))
    assert data.available_splits(str(tmp_path)) == ["train", "val"]
    for split in ("train", "val"):
        dataset = data.open_dataset(str(tmp_path), split)
        assert len(dataset) == 1 and np.bincount(dataset.check(0).label.ravel(), minlength=3).tolist() == [68, 12, 0]


def test_labelme_circles_masks_and_ignored_pixels(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", size=(20, 20))
    mask = base64.b64encode(cv2.imencode(".png", np.uint8([[255, 0], [255, 255]]))[1].tobytes()).decode()
    shapes = [
        {"label": "disc", "points": [[10, 10], [15, 10]], "shape_type": "circle"},
        {"label": "spot", "points": [[18, 0], [19, 1]], "shape_type": "mask", "mask": mask},
        {"label": "__ignore__", "points": [[0, 18], [20, 18], [20, 20], [0, 20]], "shape_type": "polygon"},
        {"label": "background", "points": [[10, 0], [20, 0], [20, 20], [10, 20]], "shape_type": "polygon"},
    ]
    write(
        tmp_path / "a.json",
        {"shapes": shapes, "imagePath": "..\\elsewhere\\a.png", "imageHeight": 20, "imageWidth": 20},
    )
    dataset = opened(tmp_path)
    assert dataset.classes.names == ("background", "disc", "spot")
    label = dataset.check(0).label
    # The last shape is background, and hides the right half of what lies below.
    assert not label[:, 10:].any() and (label[18:, :10] == 255).all()
    rows, columns = np.mgrid[:20, :20] + 0.5
    half_a_disc = (np.hypot(rows - 10, columns - 10) < 5) & (columns < 10)
    np.testing.assert_array_equal(label == 1, half_a_disc)
    write(tmp_path / "a.json", {"shapes": shapes[1:2], "imagePath": "a.png"})
    assert np.argwhere(opened(tmp_path).check(0).label).tolist() == [[0, 18], [1, 18], [1, 19]]


def test_beyond_the_border_and_in_the_tools_order(tmp_path: Path) -> None:
    """Polygons are cut off at the border; of two that overlap the later one is seen."""
    picture(tmp_path / "a.png")
    shapes = [
        {"label": "tree", "points": [[-5, -5], [4, -5], [4, 3], [-5, 3]], "shape_type": "polygon"},
        {"label": "car", "points": [[2, 2], [99, 2], [99, 99], [2, 99]], "shape_type": "polygon"},
        {"label": "far", "points": [[50, 50], [60, 50], [60, 60]], "shape_type": "polygon"},
    ]
    for order in ((0, 1, 2), (1, 0, 2)):
        content = {"shapes": [shapes[i] for i in order], "imagePath": "a.png", "imageHeight": 8, "imageWidth": 10}
        write(tmp_path / "a.json", content)
        dataset = opened(tmp_path)
        pixels = dict(zip(dataset.classes.names, np.bincount(dataset.check(0).label.ravel(), minlength=4), strict=True))
        # 12 and 48 pixels, 2 of them in both; 22 in neither.
        first = order[0] == 0
        assert pixels == {"background": 22, "tree": 12 - 2 * first, "car": 46 + 2 * first, "far": 0}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_photographs(orientation: int, tmp_path: Path) -> None:
    """Labels may be drawn on the image as it is seen, or as it is stored: the size says which."""
    stored = np.zeros((8, 10, 3), np.uint8)
    stored[1:4, 1:5] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    file = io.BytesIO((tmp_path / "a.png").read_bytes())
    from PIL import ImageOps

    seen = np.array(ImageOps.exif_transpose(Image.open(file)))
    shapes = [{"label": "car", "points": CAR, "shape_type": "polygon"}]
    content = {"shapes": shapes, "imagePath": "a.png", "imageHeight": 8, "imageWidth": 10}
    if orientation > 4:
        write(tmp_path / "a.json", content)
        image, label = opened(tmp_path).check(0)
        assert image.shape[:2] == label.shape == (10, 8)
        np.testing.assert_array_equal(label == 1, seen[..., 0] == 255)
    rows, columns = np.nonzero(seen[..., 0])
    box = [[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]]
    shapes = [{"label": "car", "points": np.array(box).tolist(), "shape_type": "rectangle"}]
    write(tmp_path / "a.json", {**content, "shapes": shapes, "imageHeight": seen.shape[0], "imageWidth": seen.shape[1]})
    image, label = opened(tmp_path).check(0)
    np.testing.assert_array_equal(label == 1, image[..., 0] == 255)
    np.testing.assert_array_equal(image, seen)
    write(tmp_path / "a.json", {**content, "imageHeight": 9})
    with pytest.raises(InputError, match=r"a\.json: the labels of .*a\.png are drawn for 9x10, and .* is (8x10|10x8)"):
        opened(tmp_path).check(0)


def test_an_image_that_is_labelled_twice_or_missing(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    content = {"shapes": [], "imagePath": "a.png", "imageHeight": 8, "imageWidth": 10}
    for name in ("a", "b"):
        shapes = [{"label": name, "points": CAR, "shape_type": "polygon"}]
        write(tmp_path / f"{name}.json", {**content, "shapes": shapes})
    write(tmp_path / "c.json", {**content, "imagePath": "gone.png"})
    faults: list[str] = []
    kind, path = kind_and_path(str(tmp_path))
    dataset = KINDS[kind].open(path, "all", on_fault=faults.append)
    assert len(dataset) == 1 and dataset.classes.names[dataset.check(0).label[1, 1]] == "a"
    assert len(faults) == 2 and "a.png has labels in" in faults[0] and "gone.png was not found" in faults[1]


def test_label_studio_counts_the_first_annotation_and_the_first_label(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    size = {"original_width": 10, "original_height": 8}

    def polygon(names: list[str], corners: list[list[float]]) -> dict:
        points = [[10 * x, 12.5 * y] for x, y in corners]
        return {"type": "polygonlabels", "value": {"points": points, "polygonlabels": names}, **size}

    turned = {"type": "rectanglelabels", **size, "value": {"x": 90, "y": 50, "width": 24, "height": 20, "rotation": 90,
                                                           "rectanglelabels": ["far"]}}  # fmt: skip
    annotations = [{"result": [polygon(["car", "tree"], CAR), turned]}, {"result": [polygon(["tree"], TREE)]}]
    write(tmp_path / "x.json", [{"data": {"image": "s3://bucket/a.png"}, "annotations": annotations}])
    dataset = opened(tmp_path)
    assert dataset.classes.names == ("background", "car", "far")
    expected = np.zeros(SIZE, np.uint8)
    expected[1:4, 1:5] = 1
    # 2.4 wide and 1.6 high, turned about its first corner (9, 4): from 7.4 to 9, and from 4 to 6.4.
    expected[4:6, 7:9] = 2
    np.testing.assert_array_equal(dataset.check(0).label, expected)


@given(st.integers(0, 2**32 - 1))
def test_label_studio_runs_read_back(seed: int) -> None:
    alpha = (np.random.default_rng(seed).random((3, 5)) < 0.5).astype(np.uint8)
    np.testing.assert_array_equal(label_studio.decoded(packed_brush(alpha)).reshape(3, 5, 4)[..., 3] > 0, alpha)


def test_yolo_refuses_what_is_no_polygon(tmp_path: Path) -> None:
    root = yolo_folder(tmp_path)
    label = root / "labels" / "train" / "0.txt"
    for line, expected in (
        ("0 0.5 0.5 0.1 0.1", "line 1 is a box"), ("9 0 0 1 0 1 1", "line 1: .*is no class and corners: 9"),
        ("0 0 0 1 0 1", "5 numbers"), ("0 a b c d e f", "could not convert"),
    ):  # fmt: skip
        label.write_text(line)
        with pytest.raises(InputError, match=rf"0\.txt, {expected}" if expected.startswith("line") else expected):
            data.open_dataset(str(root), "train")
    label.unlink()  # Then the image has nothing but background.
    assert not data.open_dataset(str(root), "train")[0].label.any()


def test_masks_with_a_label_map_are_not_pascal_voc(tmp_path: Path) -> None:
    """Even with VOC's lists, which CVAT writes for a subset of its name."""
    root = cvat_masks(tmp_path)
    for split, names in (("train", "0\n1\n"), ("val", "2\n")):
        write(root / "ImageSets" / "Segmentation" / f"{split}.txt", names)
    assert data.available_splits(str(root)) == ["train", "val"]
    dataset = data.open_dataset(str(root), "train")
    assert len(dataset) == 2 and dataset.classes.names == ("background", "car", "tree")
    assert dataset.classes.colours[1] == (250, 50, 83)
    write(root / "labelmap.txt", "background:0,0,0::\ncar:0,0,300::\n")
    with pytest.raises(InputError, match=r"labelmap\.txt line 2: 'car:0,0,300::' is no name:r,g,b"):
        data.open_dataset(str(root), "train")


def corners(count: int) -> st.SearchStrategy[list[tuple[float, float]]]:
    number = st.integers(-6, 18).map(lambda value: value / 2 + 0.25)  # No centre of a pixel lies on an edge's end.
    return st.lists(st.tuples(number, number), min_size=3, max_size=count)


@given(st.lists(corners(6), min_size=1, max_size=3))
def test_a_pixel_is_inside_if_its_centre_is(rings: list[list[tuple[float, float]]]) -> None:
    """Against counting, pixel by pixel, how many edges a ray from the centre to the right crosses."""
    found = polygons.fill([np.array(ring) for ring in rings], (6, 7))
    for row in range(6):
        for column in range(7):
            x, y = column + 0.5, row + 0.5
            crossed = 0
            for ring in rings:
                for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
                    if (y0 > y) != (y1 > y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x:
                        crossed += 1
            assert found[row, column] == bool(crossed % 2)


def test_neighbours_that_share_an_edge_share_no_pixel() -> None:
    """Edges through centres, upright and slanted."""
    middle = [(3.5, 0.0), (3.5, 4.5), (6.0, 8.0)]
    left = polygons.fill([np.array([(0, 0), *middle, (0, 8)])], (8, 9))
    right = polygons.fill([np.array([(9, 0), *middle, (9, 8)])], (8, 9))
    assert not (left & right).any() and (left | right).all()


def test_a_folder_that_is_no_export_hears_of_all_tools(tmp_path: Path) -> None:
    write(tmp_path / "notes.json", {"a": 1})
    with pytest.raises(InputError) as refusal:
        data.open_dataset(str(tmp_path), "train")
    assert all(
        tool in str(refusal.value) for tool in ("COCO", "LabelMe", "CVAT", "YOLO", "Label Studio", "Supervisely")
    )
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        data.convert(str(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("tool", ["coco", "cvat_masks"])
@pytest.mark.parametrize("below", ["", "project-7/"])
def test_an_archive_is_converted(tool: str, below: str, tmp_path: Path) -> None:
    root = TOOLS[tool][0](tmp_path / "export")
    archive = tmp_path / "export.zip"
    with zipfile.ZipFile(archive, "w") as members:
        for file in root.rglob("*"):
            members.write(file, below + file.relative_to(root).as_posix())
        members.writestr(f"{below}../../../out.txt", "x")  # Nothing is written outside.
    shutil.rmtree(root)
    for name in (str(archive), f"coco:{archive}"):
        with pytest.raises(InputError, match=r"export\.zip is an archive; unpack it .* convert \S*export\.zip FOLDER"):
            data.open_dataset(name, "train")
    assert run(["data", "convert", str(archive), str(tmp_path / "own")]) == 0
    written = data.folder(tmp_path / "own", "all")
    assert len(written) == 4
    for index in range(4):
        np.testing.assert_array_equal(by_name(written, index), EXPECTED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.zip", "own"]


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.TGZ", "x.7z", "x.rar", "x.zip"])
@pytest.mark.parametrize("command", ["train --output OUT --data", "evaluate segnet_edge --data", "data check"])
def test_an_archive_is_no_data_set(
    name: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"")
    assert run([*command.split(), name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name} is an archive; unpack it and give the folder" in line
    assert ("keras-segnet data convert" in line) == (name == "x.zip")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_damaged_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = tmp_path / "export.zip"
    for content in (b"", b"PK\3\4" + bytes(100)):
        archive.write_bytes(content)
        assert run(["data", "convert", str(archive), str(tmp_path / "own")]) == 2
        assert f"{archive} cannot be unpacked as a .zip archive: " in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["export.zip"]


def test_nothing_is_written_of_an_export_with_a_fault(tmp_path: Path) -> None:
    root = coco_folder(tmp_path / "export")
    (root / "images" / "2.png").write_bytes(b"no image")
    assert run(["data", "convert", str(root), str(tmp_path / "own")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
