"""The choice of `segnet_edge`: candidates, each trained as long as the others, with their accuracy and int8 latency.

.venv/bin/python benchmarks/segnet_edge.py --data CAMVID --output runs/candidates
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import typer
from keras import layers
from rich.progress import track
from rich.table import Table
from side_by_side import console

from keras_segnet.layers import MaxPoolingWithArgmax2D, MaxUnpooling2D
from keras_segnet.models import NETWORKS, blocks, build, network
from keras_segnet.models.graph import summarize_network
from keras_segnet.models.segnet import segnet
from keras_segnet.models.segnet_edge import residual_unit

SIZE = (360, 480)


def plain_unit(x: Any, filters: int, name: str) -> Any:
    """One 3x3 convolution."""
    return blocks.convolution(x, filters, 3, name)


def separable_unit(x: Any, filters: int, name: str) -> Any:
    """1x1 convolution to three times the channels, 3x3 depthwise, 1x1 back, and a sum where the channels allow it."""
    y = blocks.convolution(x, 3 * x.shape[-1], 1, f"{name}_expand")
    y = layers.ReLU(name=f"{name}_depthwise_relu")(blocks.depthwise_convolution(y, 3, f"{name}_depthwise"))
    y = blocks.convolution(y, filters, 1, f"{name}_project", relu=False)
    if x.shape[-1] == filters:
        y = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(y)


@dataclass(frozen=True)
class Design:
    """A slim SegNet behind a 3x3 convolution of stride 2: five stages, four poolings with indices.

    Attributes:
        unit: what a stage is made of.
        filters: channels of the stages.
        encoder: units of each stage of the encoder.
        decoder: units of stages 1 to 4 of the decoder.
        addition: whether decoders add the encoder's maps, as SegNet-Basic-EncoderAddition does.
    """

    unit: Callable[[Any, int, str], Any]
    filters: tuple[int, ...] = (32, 64, 128, 192, 192)
    encoder: tuple[int, ...] = (1, 2, 3, 3, 2)
    decoder: tuple[int, ...] = (1, 1, 1, 2)
    addition: bool = False

    def __call__(self, colours: Any, num_classes: int, width: float) -> Any:
        x = blocks.convolution(colours, 16, 3, "stem", strides=2)
        pooled = []
        for stage, (filters, units) in enumerate(zip(self.filters, self.encoder, strict=True), start=1):
            for i in range(1, units + 1):
                x = self.unit(x, blocks.scaled(filters, width), f"conv{stage}_{i}")
            if stage < len(self.filters):
                encoded = x
                x, indices = MaxPoolingWithArgmax2D(name=f"pool{stage}")(x)
                pooled.append((encoded, indices))
        for stage in range(len(pooled), 0, -1):
            encoded, indices = pooled[stage - 1]
            if x.shape[-1] != encoded.shape[-1]:
                x = blocks.convolution(x, encoded.shape[-1], 1, f"reduce{stage}")
            x = MaxUnpooling2D(name=f"upsample{stage}")(x, indices, like=encoded)
            if self.addition:
                x = layers.Add(name=f"add{stage}")([x, encoded])
            for i in range(self.decoder[stage - 1], 0, -1):
                x = self.unit(x, x.shape[-1], f"conv{stage}_{i}_D")
        x = blocks.scores(x, num_classes, "classifier")
        return blocks.bilinear_upsampling(x, 2, "upsample0", like=colours)


def slim_segnet(colours: Any, num_classes: int, width: float) -> Any:
    """SegNet itself, at a quarter of the width."""
    return segnet(colours, num_classes, width / 4)


CANDIDATES: dict[str, Callable[..., Any]] = {
    "segnet_quarter": slim_segnet,
    "residual": Design(residual_unit),
    "residual_addition": Design(residual_unit, addition=True),
    "separable": Design(separable_unit, (24, 48, 96, 160, 192), (1, 3, 4, 4, 3), (1, 1, 2, 2)),
    "plain": Design(plain_unit, (32, 64, 128, 256, 256)),
}
for _name, _wiring in CANDIDATES.items():
    network(name=_name, source="benchmarks/segnet_edge.py", summary="a candidate", doc="A candidate.")(_wiring)


def main(
    data: Annotated[str, typer.Option(help="As keras-segnet train takes it.")],
    output: Annotated[Path, typer.Option(help="Folder for the runs; those that are there are not trained again.")],
    candidate: Annotated[list[str] | None, typer.Option(help="Which; may be given again.")] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of each training.")] = 10,
    input_size: Annotated[str, typer.Option(help="Of the trainings.")] = "180x240",
    rounds: Annotated[int, typer.Option(min=0, help="Timed runs of each int8 file; 0 leaves them out.")] = 40,
    threads: Annotated[int, typer.Option(min=1, help="Of LiteRT.")] = 2,
) -> None:
    """Trains each candidate, then prints validation mean IoU and int8 latency at 360x480."""
    names = candidate or list(CANDIDATES)
    scores = {name: train(name, data, output / name, epochs, input_size) for name in names}
    latencies = measure(names, rounds, threads) if rounds else {}
    table = Table("candidate", "parameters, M", "multiply-adds, G", "int8, ms", "validation mIoU, %",
                  title=f"{epochs} epochs at {input_size}; int8 at 360x480, {threads} threads")  # fmt: skip
    for name in names:
        about = summarize_network(NETWORKS[name])
        latency = f"{latencies[name]:.1f}" if latencies else ""
        table.add_row(name, f"{about.parameters / 1e6:.2f}", f"{about.multiply_adds / 1e9:.2f}", latency,
                      f"{100 * scores[name]:.2f}")  # fmt: skip
    console.print(table)


def train(name: str, data: str, folder: Path, epochs: int, input_size: str) -> float:
    """Trains a candidate as `keras-segnet train` does; the best mean IoU on the validation images."""
    from keras_segnet.cli.main import run as keras_segnet
    from keras_segnet.training.run import Run

    if not (folder / "report.md").exists():
        settings = f"--model {name} --epochs {epochs} --input-size {input_size} --balancing-exponent 0.5 --weights none"
        try:
            keras_segnet(["train", "--data", data, "--output", str(folder), "--resume", *settings.split()])
        except SystemExit as end:
            if end.code:
                raise
    return max(float(row["val_mean_iou"]) for row in Run(folder).rows())


def measure(names: list[str], rounds: int, threads: int) -> dict[str, float]:
    """Median milliseconds of the int8 files, which take turns. Weights are random: they do not change the time."""
    from ai_edge_litert.interpreter import Interpreter

    from keras_segnet.exporting import to_tflite
    from keras_segnet.exporting.parity import street_images

    images = street_images(SIZE, 4)
    interpreters, times = {}, {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        for name in track(names, "Exporting", console=console):
            keras.utils.set_random_seed(0)
            path = Path(folder) / f"{name}.tflite"
            options = {"precision": "int8", "interface": "uint8", "head": "logits"}
            to_tflite(build(name), path, **options, representative_data=images, images=images[:1])
            interpreters[name] = Interpreter(str(path), num_threads=threads)
            interpreters[name].allocate_tensors()
        for _ in track(range(rounds + 2), "Taking turns", console=console):
            for name, interpreter in interpreters.items():
                start = time.perf_counter()
                interpreter.invoke()
                times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(taken[2:]) for name, taken in times.items()}


if __name__ == "__main__":
    typer.run(main)
