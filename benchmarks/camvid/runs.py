r"""The CamVid table: trains what is asked for, scores it on the test images once, and prints every row.

    .venv/bin/python benchmarks/camvid/runs.py --data CAMVID --output runs/table --row segnet_edge

On a GPU, from an environment with JAX and without TensorFlow:

    KERAS_BACKEND=jax .venv-jax/bin/python benchmarks/camvid/runs.py --data CAMVID --output runs/table \
        --row segnet_basic --row segnet --vgg16 vgg16.npz

Each row is a folder of --output: a run of `keras-segnet train` for each of its phases, and scores.json. What is there
is not done again, and a phase that was cut off is resumed. --keep copies what is worth keeping into benchmarks/camvid/
and writes the table into its README.md, where rows that were not run say so.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from keras_segnet.cli.main import run as keras_segnet
from keras_segnet.files import write_text

HERE = Path(__file__).resolve().parent
console = Console(width=120)

PAPER = "--recipe paper"
MODERN = "--recipe modern --batch-size 12 --epochs 200 --precision mixed_bfloat16"
HALF_SIZE = "--input-size 180x240 --epochs 25 --scale 1 3 --balancing-exponent 0.5 --precision mixed_bfloat16"
"""What two CPU cores can: the networks of Table 1 side by side in equal short trainings."""

TABLE_1 = {
    "segnet_basic": "82.7 / 62.0 / 47.7 / 35.8",
    "segnet_basic_encoder_addition": "83.4 / 63.6 / 48.5 / 35.9",
    "segnet_basic_single_channel_decoder": "81.2 / 60.7 / 46.1 / 31.6",
    "fcn_basic": "81.7 / 62.4 / 47.3 / 38.1",
    "fcn_basic_no_addition": "80.5 / 58.6 / 44.1 / 32.0",
    "fcn_basic_no_dim_reduction": "84.1 / 63.4 / 50.1 / 37.4",
    "fcn_basic_no_addition_no_dim_reduction": "80.5 / 61.6 / 45.9 / 30.5",
    "bilinear_interpolation": "77.9 / 61.1 / 43.3 / 20.8",
}
"""G / C / mIoU / BF with median frequency balancing."""


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        phases: options of `keras-segnet train`; each phase but the first starts from the model of the one before.
        evaluation: further options of `keras-segnet evaluate`.
        published: G / C / mIoU / BF and where they are from.
        vgg16: whether the first phase starts from ImageNet's VGG16.
    """

    phases: tuple[str, ...]
    published: str = ""
    evaluation: str = ""
    vgg16: bool = False


def of_table_1(network: str) -> Row:
    return Row((f"--model {network} {PAPER}",), f"{TABLE_1[network]} (Table 1, median frequency balancing)")


def of_half_size(network: str) -> Row:
    return Row((f"--model {network} {HALF_SIZE}",), f"{TABLE_1[network]} (Table 1, at 360x480)")


def of_table_3(network: str, scores: str, evaluation: str = "") -> Row:
    return Row((f"--model {network} {MODERN}",), scores and f"{scores} (Table 3, 3,433 images)", evaluation, vgg16=True)


ROWS: dict[str, Row] = {
    **{network: of_table_1(network) for network in TABLE_1},
    **{f"{network}_half_size": of_half_size(network) for network in TABLE_1},
    "segnet_basic_modern": Row(
        (
            f"--model segnet_basic {HALF_SIZE}",
            "--model segnet_basic --epochs 3 --learning-rate 1e-3 --balancing-exponent 0.5 --recalibrate"
            " --precision mixed_bfloat16",
        )
    ),
    "segnet": of_table_3("segnet", "90.4 / 71.2 / 60.1 / 46.8"),
    "segnet_quarter": Row(("--model segnet --width 0.25 --input-size 180x240 --epochs 65 --balancing-exponent 0.5",)),
    "bayesian_segnet": Row(
        (f"--model bayesian_segnet {MODERN}",),
        "86.9 / 76.3 / 63.1 / - (arXiv 1511.02680)",
        "--samples 50",
        vgg16=True,
    ),
    "deeplab_largefov": of_table_3("deeplab_largefov", "88.2 / 62.5 / 53.9 / 32.8"),
    "deeplab_largefov_crf": of_table_3("deeplab_largefov", "89.7 / 60.7 / 54.7 / 40.8", "--crf"),
    "fcn_8s": of_table_3("fcn_8s", "83.1 / 64.2 / 52.0 / 33.2"),
    "deconvnet": of_table_3("deconvnet", "89.6 / 70.2 / 59.8 / 52.2"),
    "unet": Row((f"--model unet {MODERN}",)),
    "segnet_edge": Row(
        (
            "--model segnet_edge --input-size 180x240 --epochs 60 --scale 1 3 --balancing-exponent 0.5",
            "--model segnet_edge --epochs 10 --learning-rate 1e-3 --balancing-exponent 0.5 --recalibrate",
        )
    ),
}


def main(
    data: Annotated[str, typer.Option(help="CamVid, as keras-segnet train takes it.")],
    output: Annotated[Path, typer.Option(help="Folder of the rows.")],
    row: Annotated[list[str] | None, typer.Option(help=f"Which; may be given again: {', '.join(ROWS)}.")] = None,
    vgg16: Annotated[str, typer.Option(help="'imagenet' downloads VGG16; or an .npz of it.")] = "imagenet",
    keep: Annotated[bool, typer.Option("--keep", help="Copy the results to benchmarks/camvid/.")] = False,
) -> None:
    """Runs rows of the table to their end, one after the other, and prints the table."""
    for name in row or []:
        if name not in ROWS:
            raise typer.BadParameter(f"{name}: there is no such row; there are {', '.join(ROWS)}.")
    for name in row or []:
        run_row(ROWS[name], data, output / name, vgg16)
        if keep:
            keep_row(output / name, HERE / name)
    console.print(table(HERE if keep else output), highlight=False, markup=False, soft_wrap=True)
    if keep:
        page = (HERE / "README.md").read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        write_text(HERE / "README.md", f"{before}{BEGIN}\n{table(HERE)}\n{END}{rest.partition(END)[2]}")


def run_row(row: Row, data: str, folder: Path, vgg16: str) -> None:
    """Trains a row's phases and scores the last one's model."""
    models = [folder / str(number) / "model.keras" for number in range(1, len(row.phases) + 1)]
    for number, (options, model) in enumerate(zip(row.phases, models, strict=True)):
        if not (model.parent / "report.md").is_file():
            start = str(models[number - 1]) if number else vgg16 if row.vgg16 else None
            weights = ["--weights", start or "none"]
            run("train", "--data", data, *options.split(), *weights, "--resume", "--output", str(model.parent))
    scores = folder / "scores.json"
    if not scores.is_file():
        options = ["--boundary", *row.evaluation.split()]
        run("evaluate", str(models[-1]), "--data", data, *options, "--json", str(scores))


def run(*command: str) -> None:
    """Runs a command of keras-segnet in this process; ends if that fails."""
    try:
        keras_segnet(list(command))
    except SystemExit as end:
        if end.code:
            raise


def keep_row(folder: Path, kept: Path) -> None:
    """Copies the scores and each phase's settings, curves and report."""
    kept.mkdir(exist_ok=True)
    shutil.copyfile(folder / "scores.json", kept / "scores.json")
    for phase in sorted(path for path in folder.iterdir() if path.is_dir()):
        (kept / phase.name).mkdir(exist_ok=True)
        for name in ("metrics.csv", "curves.png", "confusion_matrix.png"):
            shutil.copyfile(phase / name, kept / phase.name / name)
        settings = json.loads((phase / "config.json").read_text(encoding="utf-8"))
        report = (phase / "report.md").read_text(encoding="utf-8")
        # Where the data and the weights lay says nothing to anybody else.
        for setting, public in (("data", "CAMVID"), ("weights", "WEIGHTS")):
            if settings[setting] is not None:
                report = report.replace(f"| {setting} | {settings[setting]} |", f"| {setting} | {public} |")
                settings[setting] = public
        write_text(kept / phase.name / "config.json", json.dumps(settings, indent=2) + "\n")
        # The overlays show images of CamVid, which are not ours to pass on.
        write_text(kept / phase.name / "report.md", report.partition("## Examples")[0].rstrip() + "\n")


BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"


def table(folder: Path) -> str:
    """The table in Markdown, from the scores that are in `folder`."""
    lines = ["| row | test: G / C / mIoU / BF (Csurka's BF) | published | trained by |", "|---|---|---|---|"]
    for name, row in ROWS.items():
        path = folder / name / "scores.json"
        found = figures(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else "not run"
        trained = "; then ".join(f"`{options}`" for options in row.phases)
        if row.vgg16:
            trained += ", from VGG16"
        evaluated = f", scored with `{row.evaluation}`" if row.evaluation else ""
        lines.append(f"| `{name}` | {found} | {row.published or '-'} | {trained}{evaluated} |")
    return "\n".join(lines)


def figures(scores: dict[str, Any]) -> str:
    boundary = scores["boundary_f1"]
    found = [scores[key] for key in ("global_accuracy", "class_average_accuracy", "mean_iou")]
    *shown, csurka = (percent(score) for score in (*found, boundary["released"], boundary["csurka"]))
    return f"{' / '.join(shown)} ({csurka})"


def percent(score: float | None) -> str:
    return "-" if score is None else f"{100 * score:.2f}"


if __name__ == "__main__":
    typer.run(main)
