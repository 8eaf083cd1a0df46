"""Bulk prediction on a Ray cluster, of this machine alone, writes what plain prediction writes."""

import cv2
import numpy as np
import pytest

from keras_segnet import build_segnet
from keras_segnet.cli.main import run
from keras_segnet.data import street_scenes
from keras_segnet.data.images import write_png


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    build_segnet(11, (24, 32, 3), width=0.05).save(path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Nineteen images, more than two parts, some in a folder within; and a video."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "within").mkdir()
    scenes = list(street_scenes(count=19, size=(30, 40)))
    for number, scene in enumerate(scenes):
        write_png(folder / ("within" if number % 3 else "") / f"street_{number}.png", scene.image)
    film = cv2.VideoWriter(str(folder / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (40, 30))
    for scene in scenes[:3]:
        film.write(np.ascontiguousarray(scene.image[..., ::-1]))
    film.release()
    return folder


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.suffix in (".png", ".npy")}


def test_ray_writes_the_same_files(model, images, tmp_path, monkeypatch, capsys):
    assert run(["predict", str(model), str(images), "--output", str(tmp_path / "plain")]) == 0
    monkeypatch.chdir(tmp_path)
    assert run(["predict", str(model), str(images), "--output", "ray", "--ray", "local"]) == 0
    assert "for 20 images into ray" in " ".join(capsys.readouterr().out.split())
    expected, found = contents(tmp_path / "plain"), contents(tmp_path / "ray")
    assert len(expected) == 19 * 2 + 3 + 1 and found == expected
    assert (tmp_path / "ray" / "film_overlay.mp4").is_file()


def test_an_input_that_a_machine_cannot_read_gives_one_line(model, images, tmp_path, capsys):
    """It is whole when it is checked, and gone when it is labelled."""
    lost = tmp_path / "images" / "lost.png"
    lost.parent.mkdir()
    write_png(lost, np.zeros((30, 40, 3), np.uint8))
    from keras_segnet.data.camvid import CLASSES
    from keras_segnet.errors import InputError
    from keras_segnet.inference import load_segmenter
    from keras_segnet.inference.bulk import find_inputs
    from keras_segnet.inference.on_ray import label_on_ray
    from keras_segnet.pictures.overlays import Paint

    inputs = find_inputs([lost.parent], tmp_path / "out")
    lost.unlink()
    with pytest.raises(InputError, match=r"lost\.png") as told:
        list(label_on_ray("local", lambda: load_segmenter(model), inputs, tmp_path / "out", Paint(CLASSES)))
    assert len(str(told.value).splitlines()) == 1


def test_a_cluster_that_is_not_there_gives_one_line(model, images, tmp_path, capsys):
    arguments = ["predict", str(model), str(images), "--output", str(tmp_path / "out"), "--ray", "auto"]
    assert run(arguments) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
