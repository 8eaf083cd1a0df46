"""`keras-segnet demo`, on fewer and smaller streets."""

import pytest

from keras_segnet.cli.commands import demo
from keras_segnet.cli.main import run
from keras_segnet.data.images import read_image


def test_the_demo_goes_the_whole_way_and_shows_the_trained_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "DEMO_SIZE", (32, 48))
    monkeypatch.setattr(demo, "DEMO_SCENES", {"train": 4, "val": 2, "test": 2})
    monkeypatch.setattr(demo, "DEMO_EPOCHS", 1)
    assert run(["demo"]) == 0
    folder = tmp_path / "runs" / "demo"
    assert {"data", "run", "saved_model", "segnet.tflite", "segnet_edge"} == {path.name for path in folder.iterdir()}
    assert (folder / "run" / "report.md").is_file()
    pictures = list((folder / "segnet_edge").iterdir())
    assert len(pictures) == 8 and read_image(pictures[0]).shape == (360, 4 * 480, 3)
    assert "keras-segnet predict segnet_edge IMAGE" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_another_demo_takes_the_next_free_folder(taken, tmp_path):
    for number in range(1, taken + 1):
        (tmp_path / ("demo" if number == 1 else f"demo-{number}")).mkdir()
    assert demo.next_free(tmp_path / "demo").name == ("demo", "demo-2", "demo-3")[taken]
