"""What runtimes make of segnet_edge's files: time, size, and how many labels are the Keras model's.

.venv/bin/python benchmarks/runtimes.py --data CAMVID
"""

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import typer
from rich.table import Table
from side_by_side import Contender, available, console, measure

FILES: dict[str, dict[str, Any]] = {
    "float32.tflite": {"format": "tflite", "precision": "float32"},
    "float16.tflite": {"format": "tflite", "precision": "float16"},
    "int8.tflite": {"format": "tflite", "precision": "int8", "interface": "uint8"},
    "int16x8.tflite": {"format": "tflite", "precision": "int16x8"},
    "float32.onnx": {"format": "onnx"},
}
OPENVINO = ".venv-openvino"


def main(
    data: Annotated[str, typer.Option(help="Images to calibrate and compare on, as for keras-segnet export.")],
    images: Annotated[int, typer.Option(min=1, help="To compare on, spread over the validation set.")] = 12,
    calibration_images: Annotated[int, typer.Option(min=1, help="To measure the ranges of integers on.")] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs of each, in turns.")] = 30,
) -> None:
    """Prints milliseconds, beside the float32 file's in LiteRT, and labels equal to the Keras model's."""
    from keras_segnet.data import open_dataset
    from keras_segnet.exporting.export import pictures_of
    from keras_segnet.formats import FORMATS
    from keras_segnet.inference.segmenters import KerasSegmenter, load_keras_model
    from keras_segnet.progress import Display

    model = load_keras_model(Path("segnet_edge"))
    segmenter = KerasSegmenter(model)
    calibration = pictures_of(open_dataset(data, "train"), calibration_images, Display())
    pictures = [segmenter.resize_to_input(each) for each in pictures_of(open_dataset(data, "val"), images, Display())]
    with tempfile.TemporaryDirectory() as folder:
        task = {"images": f"{folder}/images.npy", "labels": f"{folder}/labels.npy", "repeats": repeats}
        np.save(task["images"], np.stack(pictures))
        np.save(task["labels"], np.stack([segmenter.run(each[None])[0].argmax(axis=-1) for each in pictures]))
        contenders = []
        for name, options in FILES.items():
            options = dict(options)
            if name.startswith("int"):
                options["representative_data"] = calibration
            path = str(Path(folder) / name)
            FORMATS[options.pop("format")].write(model, path, head="class_map", **options)
            kind = "onnxruntime" if name.endswith(".onnx") else "litert"
            contenders.append(Contender(f"{name}, {kind}", "with_runtime", {"runtime": kind, "path": path}))
        for name, hint in (("float32.onnx", "f32"), ("float32.onnx", None), ("int8.tflite", None)):
            settings = {"runtime": "openvino", "path": str(Path(folder) / name), "inference_precision": hint}
            label = f"{name}, OpenVINO {'float32' if hint else 'as it comes'}"
            contenders.append(Contender(label, "with_runtime", settings, OPENVINO))
        found = measure(available(contenders), task, rounds=1)
        sizes = {contender.name: Path(contender.settings["path"]).stat().st_size for contender in contenders}
    table = Table("file, runtime", title=f"segnet_edge, class map, {os.cpu_count()} threads", title_justify="left")
    for heading in ("size, MB", "median, ms", "over the first", "equal labels, %"):
        table.add_column(heading, justify="right")
    for name, figures in found.items():
        latency = figures["latency"]
        cells = (sizes[name] / 1e6, latency.median, latency.ratio, figures["agreement"].median)
        table.add_row(name, *(f"{cell:.2f}" for cell in cells))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
