"""The rows of benchmarks/camvid/runs.py are commands that keras-segnet takes."""

import importlib
import json
from pathlib import Path

import pytest

from keras_segnet.models import NETWORKS
from keras_segnet.training import train
from keras_segnet.training.configuration import SETTINGS, RunConfig
from keras_segnet.training.run import Run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def runs():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks" / "camvid")
        yield importlib.import_module("runs")


@pytest.fixture
def commands(runs, monkeypatch):
    """What a row would train and score: nothing is computed."""
    trained, scored = [], []

    def pretend_to_train(data, *, output, **options):
        settings = {name: value for name, value in options.items() if name in SETTINGS}
        config, run = RunConfig.of(data=data, **settings), Run(output)
        trained.append((config, run))
        run.folder.mkdir(parents=True)
        settings = f"| data | here |\n| weights | {config.weights} |"
        (run.folder / "report.md").write_text(f"# A run\n\n## Settings\n\n{settings}\n\n## Examples\n\npictures\n")
        content = {"data": "here", "weights": config.weights, "epochs": config.epochs}
        run.config_path.write_text(json.dumps(content))
        for name in ("metrics.csv", "curves.png", "confusion_matrix.png"):
            (run.folder / name).write_text("")

    def pretend_to_run(*command):
        if command[0] == "evaluate":
            scored.append(command)
            content = {"global_accuracy": 0.9, "class_average_accuracy": 0.71234, "mean_iou": 0.5}
            boundary = {"released": 0.25, "csurka": None}
            Path(command[-1]).write_text(json.dumps({**content, "boundary_f1": boundary}))
        else:
            run(*command)

    run = runs.run
    monkeypatch.setattr(train, "train", pretend_to_train)
    monkeypatch.setattr(runs, "run", pretend_to_run)
    return trained, scored


def test_every_row_trains_and_is_scored_once(runs, commands, tmp_path):
    trained, scored = commands
    for name, row in runs.ROWS.items():
        trained.clear(), scored.clear()
        for _ in range(2):  # What is there is not done again.
            runs.run_row(row, "data", tmp_path / name, "vgg16.npz")
        assert len(trained) == len(row.phases) and len(scored) == 1
        assert all(config.model in NETWORKS for config, _ in trained)
        starts = [None if config.weights is None else Path(config.weights) for config, _ in trained]
        assert starts[0] == (Path("vgg16.npz") if row.vgg16 else None)
        assert starts[1:] == [run.model_path for _, run in trained[:-1]]
        assert scored[0][1] == str(trained[-1][1].model_path) and "--boundary" in scored[0]
        assert all(NETWORKS[config.model].encoder for config, _ in trained if row.vgg16)


def test_the_table_says_what_was_run_and_what_not(runs, commands, tmp_path):
    runs.run_row(runs.ROWS["segnet_basic"], "data", tmp_path / "runs" / "segnet_basic", "imagenet")
    runs.keep_row(tmp_path / "runs" / "segnet_basic", tmp_path / "segnet_basic")
    lines = {line.split("|")[1].strip(): line for line in runs.table(tmp_path).splitlines()[2:]}
    assert set(lines) == {f"`{name}`" for name in runs.ROWS}
    assert "| 90.00 / 71.23 / 50.00 / 25.00 (-) | 82.7 / 62.0 / 47.7 / 35.8" in lines["`segnet_basic`"]
    assert "| not run |" in lines["`segnet`"] and "--recipe modern" in lines["`segnet`"]


def test_what_is_kept_names_no_place_and_shows_no_image(runs, commands, tmp_path):
    runs.run_row(runs.ROWS["segnet"], "data", tmp_path / "runs" / "segnet", "vgg16.npz")
    runs.keep_row(tmp_path / "runs" / "segnet", tmp_path / "segnet")
    kept = tmp_path / "segnet" / "1"
    assert json.loads((kept / "config.json").read_text())["data"] == "CAMVID"
    report = (kept / "report.md").read_text()
    assert "| data | CAMVID |\n| weights | WEIGHTS |" in report
    assert "vgg16.npz" not in report and "pictures" not in report


def test_the_page_has_the_scores_that_lie_beside_it(runs):
    page = (ROOT / "benchmarks" / "camvid" / "README.md").read_text(encoding="utf-8")
    assert runs.table(ROOT / "benchmarks" / "camvid") in page
    assert not list((ROOT / "benchmarks" / "camvid").rglob("overlays"))
