"""Faults planted into exports of `segnet_edge`, trained on CamVid, and what the parity gate says of each file.

.venv/bin/python benchmarks/gate.py --data CAMVID
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

import keras
import typer
from planted_faults import FAULTS, PRECISIONS, Fault, write

from keras_segnet.data import open_dataset
from keras_segnet.errors import InputError
from keras_segnet.exporting import ParityError, check_parity
from keras_segnet.exporting.export import pictures_of
from keras_segnet.models import build
from keras_segnet.progress import Printed


def main(
    data: Annotated[str, typer.Option(help="CamVid, as keras-segnet export takes it.")],
    height: Annotated[int, typer.Option(min=1, help="Of the network's input, in pixels.")] = 360,
    width: Annotated[int, typer.Option(min=1, help="Of the network's input, in pixels.")] = 480,
    images: Annotated[int, typer.Option(min=1, help="Training images on which int8 ranges are measured.")] = 20,
    fault: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again. Default: all.")] = None,
) -> None:
    """Prints a Markdown table: for each fault and precision the looks that refuse the file, with their figures."""
    model = build("segnet_edge", input_shape=(height, width, 3), weights="camvid")
    calibration = pictures_of(open_dataset(data, "train"), images, Printed())
    rows = {"none": Fault(), **{name: FAULTS[name] for name in fault or FAULTS}}
    print("| fault |", *(f"{precision} |" for precision in PRECISIONS))
    print("|---|" + "---|" * len(PRECISIONS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        for name, planted in rows.items():
            cells = []
            for precision in PRECISIONS:
                if precision in planted.precisions:
                    options = {"representative_data": calibration} if precision == "int8" else {}
                    write(model, path, planted, precision=precision, overwrite=True, **options)
                    cells.append(verdict(path, model))
                else:
                    cells.append("")
            print(f"| {name} |", *(f"{cell} |" for cell in cells), flush=True)


def verdict(path: Path, model: keras.Model) -> str:
    """The looks that refuse a file, with what they found; all of them where it is accepted."""
    try:
        findings, word = check_parity(path, model).findings, "accepted: "
    except ParityError as error:
        findings, word = [each for each in error.report.findings if not each.passed], ""
    except InputError:
        return "LiteRT refuses to run it"
    return word + ", ".join(f"{finding.look} {finding.found.partition(' (')[0]}" for finding in findings)


if __name__ == "__main__":
    typer.run(main)
