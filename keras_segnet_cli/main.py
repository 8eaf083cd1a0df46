"""The commands. Each one reads its arguments, calls the library, and shows what came of it."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from keras_segnet_cli import screen
from keras_segnet_cli.screen import console, say

if TYPE_CHECKING:
    from keras_segnet.data import SegmentationDataset
    from keras_segnet.exporting import ParityReport
    from keras_segnet.inference.segmenter import Segmenter
    from keras_segnet.training.run import Run, RunConfig

app = typer.Typer(
    name="keras-segnet",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="SegNet: from labelled images to a proven file for edge devices.",
)


class Split(StrEnum):
    train = "train"
    val = "val"
    test = "test"


class Format(StrEnum):
    saved_model = "saved_model"
    tflite = "tflite"


DATA_HELP = "A folder (images/ and labels/, or CamVid's lists), 'camvid' to download it, or 'streets' for drawn ones."

Data = Annotated[
    str,
    typer.Option(help=DATA_HELP),
]


def main() -> None:
    """Entry point of the console script."""
    arguments = sys.argv[1:]
    if "--debug" not in arguments:
        screen.silence_frameworks()
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit status.

    0: done. 1: the parity gate refused an export. 2: something is the user's to mend, which one line on standard error
    names. 130: Ctrl-C.
    """
    try:
        app(arguments, prog_name="keras-segnet")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception as error:
        if "--debug" in arguments or not _is_for_the_user(error):
            raise
        print(f"keras-segnet: {_in_one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _is_for_the_user(error: Exception) -> bool:
    # Without the library loaded there can be no error of its kind.
    errors = sys.modules.get("keras_segnet.errors")
    return isinstance(error, OSError) or (errors is not None and isinstance(error, errors.InputError))


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split())


def fail(line: str, status: int) -> NoReturn:
    """Ends with a line on standard error."""
    print(f"keras-segnet: {line}", file=sys.stderr)
    raise SystemExit(status)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"keras-segnet {version('keras-segnet')}")
        raise typer.Exit


@app.callback()
def common(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", help="Show the frameworks' logs, and tracebacks of all errors.")
    ] = False,
) -> None:
    """SegNet: from labelled images to a proven file for edge devices."""


@app.command()
def train(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder of the run; must be new, unless --resume is given.")],
    data: Annotated[
        str | None,
        typer.Option(help=DATA_HELP),
    ] = None,
    model: Annotated[str, typer.Option(help="Network: segnet or segnet_basic.")] = "segnet",
    width: Annotated[float, typer.Option(help="Factor on the channels of every layer.")] = 1.0,
    input_size: Annotated[str, typer.Option(metavar="HEIGHTxWIDTH", help="Size at which to train.")] = "360x480",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training set.")] = 100,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a step.")] = 4,
    weights: Annotated[
        str | None, typer.Option(help="Start of the encoder: 'imagenet', or an .npz of VGG16's convolutions.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    optimizer: Annotated[str, typer.Option(help="muon or adamw.")] = "muon",
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Highest rate; up at first, down along a cosine.  [default: 4e-3 for muon, 2e-3 for adamw]"),
    ] = None,
    weight_decay: Annotated[float, typer.Option(help="Of the optimiser.")] = 4e-3,
    balancing: Annotated[
        str, typer.Option(help="Median frequency balancing: presence, presence_with_ignored, global, or none.")
    ] = "presence",
    balancing_exponent: Annotated[
        float, typer.Option(help="Power of its weights: 1 as in the paper, 0.5 for less, 0 for none.")
    ] = 1.0,
    augment: Annotated[bool, typer.Option(help="Change training images at random: flip, scale, crop, colour.")] = True,
    scale: Annotated[
        tuple[float, float], typer.Option(help="Range of random scaling: narrow for short runs, wide for long ones.")
    ] = (0.75, 1.75),
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write logs for TensorBoard too (pip install keras-segnet[tensorboard])."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --output after a kill.")] = False,
) -> None:
    """Train a network on labelled images.

    Writes config.json, metrics.csv, model.keras (the epoch with the best validation global accuracy), report.md,
    overlays and figures into the folder of the run.

    Example: `keras-segnet train --data my_images --width 0.25 --input-size 180x240 --epochs 50 --output runs/first`

    After a kill: `keras-segnet train --resume --output runs/first`
    """
    from keras_segnet.training.run import Run, RunConfig

    run = Run(output)
    given = {
        "data": data and absolute(data, but_for=("camvid", "streets")),
        "model": model,
        "width": width,
        "input_size": parse_size(input_size),
        "epochs": epochs,
        "batch_size": batch_size,
        "weights": weights and absolute(weights, but_for=("imagenet",)),
        "seed": seed,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "balancing": balancing,
        "balancing_exponent": balancing_exponent,
        "augment": augment,
        "scale": scale,
    }
    if resume and run.exists():
        config = run.config()
        _refuse_other_settings(context, given, config, output)
    elif data is None:
        why = f"there is no run in {output} to resume, and a new one needs --data" if resume else "--data is missing"
        fail(f"{why}: a folder, 'camvid' or 'streets'.", 2)
    else:
        config = RunConfig(**given)  # type: ignore[arg-type]
        if resume:
            say(f"There is no run in {output} yet; starting it.")
    train_and_report(config, run, fresh=not (resume and run.exists()), tensorboard=tensorboard)


def _refuse_other_settings(context: typer.Context, given: dict[str, Any], config: RunConfig, output: Path) -> None:
    from keras_segnet.errors import InputError

    for name, value in given.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and value != getattr(config, name):
            raise InputError(
                f"--{name.replace('_', '-')} {value} differs from the run in {output}, which has "
                f"{getattr(config, name)}; leave it out to go on, or choose another --output."
            )


def train_and_report(config: RunConfig, run: Run, fresh: bool, tensorboard: bool = False) -> None:
    """Checks the data, trains, and writes the report."""
    from keras_segnet.data import available_splits, count_classes, open_dataset
    from keras_segnet.training.run import tensorboard_callback, train
    from keras_segnet_cli.training_progress import TrainingProgress

    if fresh:
        run.refuse_occupied()
    # The test images take no part in training, but better to hear of their faults now than at the end.
    splits = dict.fromkeys(("train", "val", *available_splits(config.data)))
    datasets = {split: open_dataset(config.data, split) for split in splits}
    for dataset in datasets.values():
        count_classes(dataset, screen.progress)
    training, validation = datasets["train"], datasets["val"]
    height, width = config.input_size
    say(
        f"Training {config.model} (width {config.width:g}, {height}x{width}, {len(training.classes)} classes) on "
        f"{len(training)} images, validating on {len(validation)}."
    )
    logs = [tensorboard_callback(run)] if tensorboard else []
    shown = TrainingProgress(config.epochs, -(-len(training) // config.batch_size))
    try:
        train(config, run, training, validation, [shown, *logs], say)
        shown.close()
        report(config, run, training, validation)
    except KeyboardInterrupt:
        fail(f"stopped. Go on with: keras-segnet train --resume --output {run.folder}", 130)
    finally:
        shown.close()
    say(f"The run is in {run.folder}; its report is {run.folder / 'report.md'}, its model {run.model_path}.")


def report(config: RunConfig, run: Run, training: SegmentationDataset, validation: SegmentationDataset) -> None:
    """Scores the run's model on the validation images, and writes and shows the report."""
    from dataclasses import asdict

    from keras_segnet.evaluation.evaluate import evaluate as evaluate_segmenter
    from keras_segnet.evaluation.evaluate import table_rows
    from keras_segnet.evaluation.report import write_report
    from keras_segnet.inference import load_segmenter

    segmenter = load_segmenter(run.model_path)
    matrix = evaluate_segmenter(segmenter, validation, screen.progress)
    settings = {**asdict(config), "input_size": "x".join(map(str, config.input_size))}
    title = f"{config.model} on {training.name}"
    write_report(run.folder, title, settings, run.rows(), matrix, segmenter, validation)
    console.print(screen.scores_table(f"Scores on {validation.name}", table_rows(matrix.scores(), validation.classes)))


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="A .keras or .tflite file, or the folder of a SavedModel.")],
    data: Data,
    split: Annotated[Split, typer.Option(help="Which part of the data.")] = Split.test,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the scores to this file too.")] = None,
) -> None:
    """Score a model on labelled images, at the labels' own resolution.

    Example: `keras-segnet evaluate runs/first/model.keras --data my_images --split test --json scores.json`
    """
    from keras_segnet.data import open_dataset
    from keras_segnet.errors import InputError
    from keras_segnet.evaluation.evaluate import evaluate as evaluate_segmenter
    from keras_segnet.evaluation.evaluate import scores_as_json, table_rows
    from keras_segnet.inference import load_segmenter

    if json_file is not None and not json_file.parent.is_dir():
        raise InputError(f"{json_file.parent} is not a folder; {json_file.name} was to be written there.")
    dataset = open_dataset(data, split.value)
    scores = evaluate_segmenter(load_segmenter(model), dataset, screen.progress).scores()
    console.print(screen.scores_table(f"{model} on {dataset.name}", table_rows(scores, dataset.classes)))
    if json_file is not None:
        partial = json_file.with_name(json_file.name + ".partial")
        partial.write_text(json.dumps(scores_as_json(scores, dataset.classes), indent=2) + "\n", encoding="utf-8")
        os.replace(partial, json_file)
        say(f"The scores are in {json_file}.")


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="A .keras file.")],
    format: Annotated[Format, typer.Option(help="What to write.")],
    output: Annotated[Path, typer.Option(help="File or folder to write; must not exist.")],
    data: Annotated[
        str | None,
        typer.Option(help="Images to compare on: a folder of labelled images, 'camvid' or 'streets' (default)."),
    ] = None,
    split: Annotated[Split, typer.Option(help="Which part of the data.")] = Split.val,
    images: Annotated[int, typer.Option(min=1, help="Compare on this many images, spread over the data.")] = 20,
    input_size: Annotated[
        str | None,
        typer.Option(metavar="HEIGHTxWIDTH", help="Size of a .tflite file's input, where the model's is open."),
    ] = None,
    precision: Annotated[str, typer.Option(help="Of a .tflite file: float32, float16 or int8.")] = "float32",
    head: Annotated[str, typer.Option(help="Of a .tflite file: probabilities, logits or class_map.")] = "probabilities",
    interface: Annotated[
        str, typer.Option(help="Dtype that an int8 file takes and gives: float32, int8 or uint8.")
    ] = "float32",
    calibration_images: Annotated[
        int, typer.Option(min=1, help="Training images on which the ranges of an int8 file are measured.")
    ] = 100,
) -> None:
    """Export a model, and prove that it gives the same labels.

    The exported file runs on images beside the Keras model. If less than 99.9 % of the pixels get the same label
    (99.5 % for float16, 95 % for int8), nothing is written and the exit status is 1. An int8 export needs --data, and
    scores the Keras model and the file in all three precisions on --split.

    Example: `keras-segnet export runs/first/model.keras --format tflite --output segnet.tflite --data my_images`

    In eight bits: `keras-segnet export MODEL --format tflite --precision int8 --output small.tflite --data my_images`
    """
    from keras_segnet.data import open_dataset
    from keras_segnet.errors import InputError
    from keras_segnet.exporting import ParityError
    from keras_segnet.inference.segmenter import load_keras_model

    if output.exists():
        raise InputError(f"{output} exists already; remove it or choose another --output.")
    if format is not Format.tflite and (precision, head, interface) != ("float32", "probabilities", "float32"):
        raise InputError("--precision, --head and --interface are for --format tflite.")
    if precision == "int8" and data is None:
        raise InputError("--precision int8 needs --data: images on which the ranges of activations are measured.")
    size = None if input_size is None else parse_size(input_size)
    dataset = open_dataset(data or "streets", split.value)
    if data is None:
        say("No --data is given; comparing on drawn streets.")
    keras_model = load_keras_model(model)
    options: dict[str, Any] = {}
    if format is Format.tflite:
        options = {"precision": precision, "head": head, "interface": interface, "input_size": size}
    if precision == "int8":
        training = open_dataset(str(data), "train")
        _refuse_other_classes(keras_model, training)
        options["representative_data"] = pictures_of(training, calibration_images)
    try:
        report = export_model(keras_model, format, output, dataset, images, options)
    except ParityError as error:
        fail(str(error), 1)
    show_reports([report])
    if precision == "int8":
        compare_precisions(keras_model, output, dataset, images, options)


def _refuse_other_classes(model: Any, dataset: SegmentationDataset) -> None:
    from keras_segnet.errors import InputError

    if model.output_shape[-1] != len(dataset.classes):
        raise InputError(
            f"the model predicts {model.output_shape[-1]} classes and {dataset.name} has {len(dataset.classes)}; "
            "calibrate on images like those it was trained on."
        )


def pictures_of(dataset: SegmentationDataset, count: int) -> list[Any]:
    """Images spread over a data set."""
    import numpy as np

    chosen = np.unique(np.linspace(0, len(dataset) - 1, count).astype(int))
    return [dataset[int(index)].image for index in screen.progress(chosen, len(chosen), f"Reading {dataset.name}")]


def export_model(
    model: Any, format: Format, output: Path, dataset: SegmentationDataset, images: int, options: dict[str, Any]
) -> ParityReport:
    """Exports and compares on images spread over a data set."""
    from keras_segnet.exporting import to_saved_model, to_tflite

    pictures = pictures_of(dataset, images)
    if format is Format.tflite:
        return to_tflite(model, output, images=pictures, progress=screen.progress, **options)
    return to_saved_model(model, output, images=pictures, progress=screen.progress)


def compare_precisions(
    model: Any, exported: Path, dataset: SegmentationDataset, images: int, options: dict[str, Any]
) -> None:
    """Shows the scores of the Keras model, and of the file in each precision, on one data set.

    A precision that the gate refuses is left out with a word: the file that was asked for is there all the same.
    """
    import tempfile

    from keras_segnet.evaluation.evaluate import evaluate as evaluate_segmenter
    from keras_segnet.exporting import ParityError
    from keras_segnet.inference import load_segmenter
    from keras_segnet.inference.segmenter import KerasSegmenter

    segmenters: dict[str, Segmenter] = {"Keras": KerasSegmenter(model)}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "float16"):
            path = Path(folder) / f"{precision}.tflite"
            floating = {"precision": precision, "head": options["head"], "input_size": options["input_size"]}
            try:
                export_model(model, Format.tflite, path, dataset, images, floating)
                segmenters[precision] = load_segmenter(path)
            except ParityError as error:
                say(f"Left out of the comparison: {error}")
        segmenters["int8"] = load_segmenter(exported)
        scores = {
            name: evaluate_segmenter(segmenter, dataset, screen.progress).scores()
            for name, segmenter in segmenters.items()
        }
    console.print(screen.precisions_table(f"Precisions on {dataset.name}", scores))


def show_reports(reports: list[ParityReport]) -> None:
    console.print(screen.parity_table(reports))
    for report in reports:
        say(f"{report.path}: ops " + ", ".join(f"{name} {count}" for name, count in report.ops.items()))


@app.command("check-gpu")
def check_gpu(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")],
    software_device: Annotated[
        Path | None, typer.Option(help="Folder with SwiftShader, to use instead of a GPU; see export/README.md.")
    ] = None,
) -> None:
    """Say whether LiteRT's GPU backend takes a file whole, and which ops it does not take.

    Runs the file on the GPU alone, beside the CPU, and compares. The exit status is 1 if the GPU does not take all of
    it or computes something else.

    Example: `keras-segnet check-gpu segnet.tflite`
    """
    from keras_segnet.exporting import check_gpu as check

    try:
        with console.status(f"Running {file} on the GPU"):
            report = check(file, software_device=software_device)
    except RuntimeError as error:
        fail(str(error), 1)
    if report.device is None:
        fail("there is no Vulkan device here; with --software-device one made of software will do.", 2)
    say(f"Device: {report.device}")
    for line in report.rejected:
        say(f"Not taken: {line}")
    if not report.fully_accelerated:
        fail(f"the GPU backend does not take {file} whole.", 1)
    say(
        f"{file} runs on the GPU whole. {100 * report.label_agreement:.3f} % of its labels are those of the CPU, the "
        f"largest difference is {report.largest_difference:.1e}."
    )
    if report.label_agreement < 0.999:
        fail(f"{file} gives other labels on the GPU than on the CPU.", 1)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A .keras or .tflite file, or the folder of a SavedModel.")],
    images: Annotated[Path, typer.Argument(help="An image, or a folder of images.")],
    output: Annotated[Path, typer.Option(help="Folder for masks and overlays; made if need be.")],
) -> None:
    """Label images.

    For each NAME it writes NAME_mask.png (the value is the class) and NAME_overlay.png, at the image's own size.

    Example: `keras-segnet predict runs/first/model.keras holiday.jpg --output labelled`
    """
    from keras_segnet.data.images import list_images, read_image, refuse_damaged, write_png
    from keras_segnet.errors import InputError
    from keras_segnet.inference import load_segmenter, overlay
    from keras_segnet.inference.classes import classes_of

    paths = list_images(images)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; a folder for masks and overlays is expected there.")
    segmenter = load_segmenter(model)
    classes = classes_of(model, segmenter.num_classes)
    for path in screen.progress(paths, len(paths), "Checking images"):
        refuse_damaged(path)
        read_image(path)
    output.mkdir(parents=True, exist_ok=True)
    for path in screen.progress(paths, len(paths), "Labelling"):
        image = read_image(path)
        label = segmenter.label(image)
        write_png(output / f"{path.stem}_mask.png", label)
        write_png(output / f"{path.stem}_overlay.png", overlay(image, label, classes))
    say(f"Wrote a mask and an overlay for {len(paths)} image{'s' if len(paths) > 1 else ''} into {output}.")


@app.command()
def demo(
    output: Annotated[
        Path | None, typer.Option(help="New folder. Default: runs/demo, or the next free runs/demo-2, runs/demo-3, ...")
    ] = None,
) -> None:
    """The whole way once, with nothing to download.

    Draws a folder of streets, trains a slim SegNet on it, evaluates, exports to SavedModel and .tflite, compares, and
    writes pictures. Takes some minutes on two cores.

    Example: `keras-segnet demo --output runs/demo`
    """
    from keras_segnet.data import open_dataset, street_scenes, write_folder
    from keras_segnet.evaluation.evaluate import evaluate as evaluate_segmenter
    from keras_segnet.evaluation.evaluate import table_rows
    from keras_segnet.exporting import ParityError
    from keras_segnet.inference import load_segmenter
    from keras_segnet.inference.segmenter import load_keras_model
    from keras_segnet.training.run import Run, RunConfig

    folder = output or next_free(Path("runs/demo"))
    data, run = folder / "data", Run(folder / "run")
    with console.status("Drawing streets"):
        scenes = {split: street_scenes(split, count, DEMO_SIZE) for split, count in DEMO_SCENES.items()}
        write_folder(data, scenes)
    say(f"Drew {sum(DEMO_SCENES.values())} streets and their labels into {data}.")
    config = RunConfig(
        data=absolute(str(data)),
        width=0.125,
        input_size=DEMO_SIZE,
        epochs=DEMO_EPOCHS,
        balancing_exponent=0.5,
        augment=False,
    )
    train_and_report(config, run, fresh=True)

    test = open_dataset(str(data), "test")
    model = load_keras_model(run.model_path)
    exports = ((Format.saved_model, folder / "saved_model"), (Format.tflite, folder / "segnet.tflite"))
    try:
        show_reports([export_model(model, format, path, test, 20, {}) for format, path in exports])
    except ParityError as error:
        fail(str(error), 1)
    scores = evaluate_segmenter(load_segmenter(folder / "segnet.tflite"), test, screen.progress).scores()
    console.print(screen.scores_table(f"segnet.tflite on {test.name}", table_rows(scores, test.classes)))
    say(
        f"Everything is in {folder}. Look at {run.folder / 'report.md'} and at the pictures beside it.\n"
        f"Label an image: keras-segnet predict {folder / 'segnet.tflite'} IMAGE --output labelled"
    )


DEMO_SIZE = (90, 120)
DEMO_SCENES = {"train": 200, "val": 40, "test": 40}
DEMO_EPOCHS = 30


def next_free(path: Path) -> Path:
    """`path`, or it with the first number from 2 up that makes it new."""
    candidates = [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
    return next(candidate for candidate in candidates if not candidate.exists())


def absolute(path: str, but_for: tuple[str, ...] = ()) -> str:
    """The path from the root, so that a run can go on from another folder; words that are no paths stay."""
    return path if path in but_for else str(Path(path).resolve())


def parse_size(text: str) -> tuple[int, int]:
    """Reads HEIGHTxWIDTH, as in 360x480."""
    from keras_segnet.errors import InputError

    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise InputError(f"--input-size must be HEIGHTxWIDTH, two positive whole numbers as in 360x480; not {text!r}.")
    return int(parts[0]), int(parts[1])
