"""`keras-segnet demo`, on fewer and smaller streets."""

import pytest

from keras_segnet.cli.commands import demo
from keras_segnet.cli.main import run
from keras_segnet.data.images import read_image
from keras_segnet.exporting import web


def test_the_demo_goes_the_whole_way_and_shows_the_trained_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "DEMO_SIZE", (32, 48))
    monkeypatch.setattr(demo, "DEMO_SCENES", {"train": 4, "val": 2, "test": 2})
    monkeypatch.setattr(demo, "DEMO_EPOCHS", 1)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in web.RUNTIME_FILES:
        file = web.RUNTIME.expanduser() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    assert run(["demo"]) == 0
    folder = tmp_path / "runs" / "demo"
    written = {path.name for path in folder.iterdir()}
    assert written == {"data", "run", "saved_model", "segnet.tflite", "segnet_edge", "web"}
    assert (folder / "run" / "report.md").is_file()
    pictures = list((folder / "segnet_edge").iterdir())
    assert len(pictures) == 8 and read_image(pictures[0]).shape == (360, 4 * 480, 3)
    shown = " ".join(capsys.readouterr().out.split())
    assert "keras-segnet predict segnet_edge IMAGE" in shown
    assert f"keras-segnet serve {folder.relative_to(tmp_path) / 'web'}" in shown
    assert "http://localhost:8000/" in shown and "adb reverse tcp:8000 tcp:8000" in shown and "https" in shown
    assert (folder / "web" / "model.json").is_file()


@pytest.mark.parametrize("taken", [0, 1, 2])
def test_another_demo_takes_the_next_free_folder(taken, tmp_path):
    for number in range(1, taken + 1):
        (tmp_path / ("demo" if number == 1 else f"demo-{number}")).mkdir()
    assert demo.next_free(tmp_path / "demo").name == ("demo", "demo-2", "demo-3")[taken]
