"""Folders, lists and videos: what is labelled, where results go, and how a run that was stopped goes on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_segnet.data import Classes
from keras_segnet.data.images import read_image, read_label, write_png
from keras_segnet.errors import InputError
from keras_segnet.inference.bulk import Input, check_inputs, find_inputs, is_done, label_all, read_frames
from keras_segnet.inference.segmenters import Segmenter
from keras_segnet.pictures import overlay
from keras_segnet.pictures.overlays import Paint

CLASSES = Classes(("dark", "grey", "light"), ((0, 0, 0), (0, 128, 0), (255, 255, 255)))
PAINT = Paint(CLASSES)


class Thirds(Segmenter):
    """Labels by red: an answer that can be told by looking. Counts what it is asked."""

    num_classes = 3
    input_size = None
    asked = 0

    def run(self, images: np.ndarray) -> np.ndarray:
        self.asked += len(images)
        return np.eye(3, dtype=np.float32)[images[..., 0] // 86]


def picture(seed: int, size: tuple[int, int] = (13, 17)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def write_video(path: Path, frames: int, size: tuple[int, int] = (24, 32)) -> None:
    """A square that moves: flat areas, so that a codec keeps them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, size[::-1])
    for number in range(frames):
        frame = np.full((*size, 3), 40, np.uint8)
        frame[4:16, number % 16 : number % 16 + 12] = 220
        film.write(frame)
    film.release()


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    for seed, name in enumerate(("a.png", "sub/a.png", "sub/deeper/b.c.png", "sub/d.bmp")):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / "in" / name, picture(seed))
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path / "in"


def test_a_folder_with_folders(nested: Path, tmp_path: Path) -> None:
    inputs = find_inputs([nested], tmp_path / "out")
    assert [each.name for each in inputs] == ["a", "sub/a", "sub/d", "sub/deeper/b.c"]
    done = list(label_all(Thirds(), inputs, tmp_path / "out", PAINT))
    assert done == [each.name for each in inputs]
    for each in inputs:
        image = read_image(each.path)
        expected = (image[..., 0] // 86).astype(np.uint8)
        np.testing.assert_array_equal(read_label(tmp_path / "out" / f"{each.name}_mask.png"), expected)
        painted = read_image(tmp_path / "out" / f"{each.name}_overlay.png")
        np.testing.assert_array_equal(painted, overlay(image, expected, CLASSES))
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    assert written == {f"{each.name}_{kind}.png" for each in inputs for kind in ("mask", "overlay")}


def test_results_within_the_folder_are_no_inputs(nested: Path) -> None:
    inputs = find_inputs([nested], nested / "out")
    list(label_all(Thirds(), inputs, nested / "out", PAINT, "masks"))
    assert find_inputs([nested], nested / "out") == inputs
    with pytest.raises(InputError, match="holds the images"):
        find_inputs([nested], nested / "out" / "..")


def test_a_list(nested: Path, tmp_path: Path) -> None:
    """Paths from the list's folder and from the root; no name leads out of the output folder."""
    (nested / "list.txt").write_text(f"sub/d.bmp\n\n../in/sub/../a.png\n{nested / 'sub' / 'a.png'}\n")
    inputs = find_inputs([nested / "list.txt"], tmp_path / "out")
    from_root = "/".join((nested / "sub" / "a").parts[1:])
    assert [each.name for each in inputs] == ["sub/d", "in/sub/a", from_root]
    list(label_all(Thirds(), inputs, tmp_path / "out", PAINT, "masks"))
    assert all((tmp_path / "out" / f"{each.name}_mask.png").is_file() for each in inputs)


@pytest.mark.parametrize(
    ("line", "message"),
    [("missing.png", "line 1: there is no file missing.png"), ("", "names no image"), ("a.png\nsub/../a.png", None)],
)
def test_faulty_lists(line: str, message: str | None, nested: Path, tmp_path: Path) -> None:
    (nested / "list.txt").write_text(line)
    if message is None:
        names = [each.name for each in find_inputs([nested / "list.txt"], tmp_path)]
        assert names == ["a", "sub/a"]
    else:
        with pytest.raises(InputError, match=message):
            find_inputs([nested / "list.txt"], tmp_path)


def test_two_of_one_name(nested: Path, tmp_path: Path) -> None:
    write_png(nested / "sub" / "a.bmp", picture(9))
    with pytest.raises(InputError, match=r"sub/a\.bmp and .*sub/a\.png have one name"):
        find_inputs([nested], tmp_path)


def test_folders_that_look_like_images_and_links_that_lead_nowhere(tmp_path: Path) -> None:
    """A folder is searched, whatever its name; a link to itself or to a missing file is no readable input."""
    folder = tmp_path / "all"
    (folder / "a.png").mkdir(parents=True)
    write_png(folder / "a.png" / "b.png", picture(0))
    (folder / "self").symlink_to(".")
    (folder / "circle.png").symlink_to("circle.png")
    (folder / "gone.png").symlink_to("/nowhere/x.png")
    for output in (tmp_path / "out", folder / "out"):
        assert [each.name for each in find_inputs([folder], output)] == ["a.png/b", "circle", "gone"]
    for name in ("circle", "gone"):
        with pytest.raises(InputError, match=rf"{name}\.png"):
            list(check_inputs([Input(folder / f"{name}.png", name)]))


def test_what_is_given_twice_is_said_to_be(tmp_path: Path) -> None:
    write_png(tmp_path / "b.png", picture(0))
    (tmp_path / "list.txt").write_text("b.png\nb.png\n")
    for paths in ([tmp_path, tmp_path], [tmp_path / "b.png"] * 2, [tmp_path / "list.txt"]):
        with pytest.raises(InputError, match=r"`inputs` has .*b\.png more than once\."):
            find_inputs(paths, tmp_path / "out")


def test_several_inputs_have_the_names_of_their_folders(nested: Path, tmp_path: Path) -> None:
    paths = [nested / "sub" / "deeper", nested / "a.png", nested / "sub"]
    found = find_inputs(paths, tmp_path / "out")
    assert [each.name for each in found] == ["deeper/b.c", "a", "sub/a", "sub/d", "sub/deeper/b.c"]
    with pytest.raises(InputError, match="have one name"):
        find_inputs([nested / "a.png", nested / "sub" / "a.png"], tmp_path / "out")
    with pytest.raises(InputError, match="missing does not exist"):
        find_inputs([nested / "a.png", nested / "missing"], tmp_path / "out")
    with pytest.raises(InputError, match="no image"):
        find_inputs([], tmp_path / "out")


@pytest.mark.parametrize("done", [(), ("mask",), ("overlay",), ("mask", "overlay")])
def test_what_counts_as_done(done: tuple[str, ...], tmp_path: Path) -> None:
    for kind in done:
        (tmp_path / f"x_{kind}.png").write_text("")
    image = Input(Path("x.png"), "x")
    assert is_done(image, tmp_path) == (len(done) == 2)
    assert is_done(image, tmp_path, "masks") == ("mask" in done)
    assert is_done(image, tmp_path, "overlays") == ("overlay" in done)
    assert not is_done(image, tmp_path, uncertainty=True)


def test_what_is_done_is_left_out(nested: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    inputs = find_inputs([nested], output)
    stopped = label_all(Thirds(), inputs, output, PAINT)
    next(stopped)
    stopped.close()
    done = [each for each in inputs if is_done(each, output)]
    assert 1 <= len(done) <= len(inputs)
    (output / "sub" / "d_mask.png").unlink(missing_ok=True)
    assert not is_done(inputs[2], output)
    assert not list(output.rglob("*.partial*"))


@pytest.mark.parametrize("write", ["both", "masks", "overlays"])
def test_a_video(write: str, tmp_path: Path) -> None:
    write_video(tmp_path / "walk.mp4", 20)
    output, segmenter = tmp_path / "out", Thirds()
    inputs = find_inputs([tmp_path / "walk.mp4"], output)
    assert len(list(label_all(segmenter, inputs, output, PAINT, write))) == 20 == segmenter.asked
    frames = [frame for _, frame in read_frames(tmp_path / "walk.mp4")]
    masks = [(frame[..., 0] // 86).astype(np.uint8) for frame in frames]
    assert (output / "walk_masks").is_dir() == (write != "overlays")
    assert (output / "walk_overlay.mp4").is_file() == (write != "masks") == is_done(inputs[0], output, write)
    if write != "overlays":
        assert sorted(path.name for path in (output / "walk_masks").iterdir()) == [f"{i:06d}.png" for i in range(20)]
        for number, mask in enumerate(masks):
            np.testing.assert_array_equal(read_label(output / "walk_masks" / f"{number:06d}.png"), mask)
    if write != "masks":
        film = [frame for _, frame in read_frames(output / "walk_overlay.mp4")]
        assert len(film) == 20
        for found, frame, mask in zip(film, frames, masks, strict=True):
            # The codec loses a little at edges.
            assert np.abs(found.astype(int) - overlay(frame, mask, CLASSES)).mean() < 12


def test_a_video_goes_on_where_its_masks_end(tmp_path: Path) -> None:
    write_video(tmp_path / "walk.mp4", 40)
    output, segmenter = tmp_path / "out", Thirds()
    inputs = find_inputs([tmp_path / "walk.mp4"], output)
    stopped = label_all(segmenter, inputs, output, PAINT)
    for _ in range(10):
        next(stopped)
    stopped.close()
    masks = len(list((output / "walk_masks").iterdir()))
    assert masks >= 10 and not (output / "walk_overlay.mp4").exists()
    assert not list(output.rglob("*.partial*"))
    segmenter.asked = 0
    assert len(list(label_all(segmenter, inputs, output, PAINT, resume=True))) == 40
    assert segmenter.asked == 40 - masks
    assert is_done(inputs[0], output)


@pytest.mark.parametrize("content", [b"", b"no video", bytes(1000)])
def test_what_is_no_video(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.mp4 is no video that can be read"):
        list(label_all(Thirds(), [Input(tmp_path / "bad.mp4", "bad")], tmp_path / "out", PAINT))
    assert not list((tmp_path / "out").rglob("*.mp4"))
