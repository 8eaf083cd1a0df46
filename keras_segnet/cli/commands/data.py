"""`keras-segnet data`: look at a data set before training on it, and convert what label tools write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from itertools import combinations
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keras_segnet.catalogue import BALANCING
from keras_segnet.cli import screen
from keras_segnet.cli.commands.arguments import DATA_HELP, Split, fail, refuse_missing_folder, stoppable
from keras_segnet.cli.screen import complain, console, say
from keras_segnet.errors import refuse_unknown

if TYPE_CHECKING:
    from rich.table import Table

    from keras_segnet.data import Classes, SegmentationDataset, Survey

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="markdown", help="Check a data set, and count and weigh its classes."
)

EXAMPLES = 3
"""Number of faults of one kind that are printed without `--all`."""

DataArgument = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]


@app.command()
@stoppable
def check(
    data: DataArgument,
    contact_sheet: Annotated[
        Path | None, typer.Option(help="Write a PNG that shows some images with their labels, and a legend.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print every fault, not only the first three of each kind.")
    ] = False,
) -> None:
    """Check a data set before training: count its images and classes, and list every fault.

    Shows the images, their sizes, the pixels of each class and the resulting class weights, for each split and overall,
    and warns of weights that will hurt. Then prints one line for each fault, with the file; the exit status is 2 if
    there is one. If no list explains the labels' colours, prints a classes.csv to start from.

    Example: `keras-segnet data check my_images --contact-sheet my_images.png`
    """
    from keras_segnet.data import advice, available_splits, open_dataset, survey
    from keras_segnet.data.open import absolute
    from keras_segnet.errors import InputError

    if contact_sheet is not None:
        refuse_missing_folder(contact_sheet)
    faults: dict[str, None] = {}
    datasets: dict[str, SegmentationDataset] = {}
    surveys: dict[str, Survey] = {}
    for split in available_splits(data):
        try:
            datasets[split] = open_dataset(data, split, faults.setdefault)
            surveys[split] = survey(datasets[split], screen.Screen(), faults.setdefault)
        except InputError as error:
            faults.setdefault(str(error))
    for first, second in combinations(datasets, 2):
        for image in _in_both(datasets[first], datasets[second]):
            faults.setdefault(f"{image} is in the splits {first} and {second}.")
    for split, found in surveys.items():
        console.print(survey_table(datasets[split].name, datasets[split].classes, found))
    if len(surveys) > 1:
        together = reduce(add, surveys.values())
        console.print(survey_table("All splits", datasets[next(iter(surveys))].classes, together))
    if contact_sheet is not None and surveys:
        from keras_segnet.pictures.contact_sheet import draw_contact_sheet

        shown = draw_contact_sheet([datasets[split] for split in surveys], contact_sheet)
        say(f"{contact_sheet} shows {shown} images with their labels.")
    for split, found in surveys.items():
        if split == "train":
            _warn_of_weights(advice.rare_classes(datasets[split].classes, found))
    for kind in advice.by_kind(faults):
        shown = len(kind) if every else EXAMPLES
        for fault in kind[:shown]:
            complain(" ".join(fault.split()))
        if len(kind) > shown:
            complain(f"and {len(kind) - shown:,} more of this kind (--all prints them).")
    if faults:
        _suggest_classes(data)
        fail(f"{len(faults):,} fault{'s' if len(faults) > 1 else ''} in {absolute(data)}.", 2)
    say("No fault was found.")


def _warn_of_weights(rare: Mapping[str, tuple[float, float]]) -> None:
    for name, (share, weight) in rare.items():
        say(
            f"{name} is {100 * share:.2g} % of the labelled pixels and would weigh {weight:.0f} times the median class."
        )
    if rare:
        say(
            "Such weights make a network see these classes everywhere, so train raises weights to the power of 0.5 and "
            "bounds them by 10 (--balancing-exponent, --largest-weight). More images of these classes help more, or "
            "one class for them and what they resemble."
        )


def _suggest_classes(data: str) -> None:
    """Prints a list of classes for one's own folder of images and labels, if it has none and needs one."""
    from keras_segnet.data.advice import suggested_class_list
    from keras_segnet.data.open import WORDS, kind_and_path

    if data in WORDS:
        return
    kind, path = kind_and_path(data)
    if kind != "folder" or any((path / f"classes.{ending}").is_file() for ending in ("csv", "json", "txt")):
        return
    if (suggested := suggested_class_list(path / "labels")) is not None:
        say(f"The labels hold these, commonest first. With names of yours, this is {path / 'classes.csv'}:")
        say(suggested)


@app.command()
@stoppable
def weights(
    data: DataArgument,
    split: Annotated[Split, typer.Option(help="Count the labels of this split.")] = Split.train,
    balancing: Annotated[
        str, typer.Option(help="Balance by this form of median frequency: presence, presence_with_ignored or global.")
    ] = "presence",
    balancing_exponent: Annotated[
        float,
        typer.Option(help="Raise class weights to this power: 1 balances as in the paper, 0.5 less, 0 not at all."),
    ] = 1.0,
    largest_weight: Annotated[
        float | None, typer.Option(help="Limit every weight to this value; `train` limits to 10. [default: no limit]")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the weights to this JSON file.")] = None,
) -> None:
    """Count the pixels of each class, and show the class weights that balance the loss.

    The defaults give the paper's weights. `train` uses --balancing-exponent 0.5 --largest-weight 10.

    Example: `keras-segnet data weights my_images --balancing presence --json weights.json`
    """
    refuse_unknown("balancing", balancing, BALANCING)

    from rich.table import Table

    from keras_segnet.data import count_classes, median_frequency_weights, open_dataset
    from keras_segnet.files import write_text

    if json_file is not None:
        refuse_missing_folder(json_file)
    dataset = open_dataset(data, split.value)
    statistics = count_classes(dataset, screen.Screen())
    found = median_frequency_weights(statistics, balancing, balancing_exponent, largest_weight)
    table = Table("class", title=f"Weights by {balancing} on {dataset.name}", title_justify="left")
    for heading in ("pixels", "weight"):
        table.add_column(heading, justify="right")
    for name, pixels, weight in zip(dataset.classes.names, statistics.pixels[:-1], found, strict=True):
        table.add_row(name, f"{pixels:,}", f"{weight:.4f}")
    console.print(table)
    if json_file is not None:
        content = {
            "data": dataset.name,
            "balancing": balancing,
            "exponent": balancing_exponent,
            "largest": largest_weight,
            "weights": dict(zip(dataset.classes.names, found.tolist(), strict=True)),
            "pixels": dict(zip(dataset.classes.names, statistics.pixels.tolist(), strict=False)),
        }
        write_text(json_file, json.dumps(content, indent=2) + "\n")
        say(f"The weights are in {json_file}.")


@app.command()
@stoppable
def convert(
    data: DataArgument,
    output: Annotated[Path, typer.Argument(help="Write this folder; it must not exist yet.")],
) -> None:
    """Convert a label tool's export, or any data set, to a folder of images/, labels/ and classes.csv.

    Reads COCO, LabelMe, CVAT, YOLO segmentation, Label Studio, Supervisely, and masks with a label map. docs/data.md
    explains how overlaps, borders and rotated photographs are handled.

    Example: `keras-segnet data convert annotations.json my_images`
    """
    from keras_segnet.data import convert as write

    written = write(data, output, screen.Screen())
    say(f"{output} has {len(written)} images and the classes {', '.join(written.classes.names)}.")


def _in_both(first: SegmentationDataset, second: SegmentationDataset) -> list[Path]:
    """Image files that belong to two splits, of data sets that consist of files."""
    from keras_segnet.data import FileDataset

    if not (isinstance(first, FileDataset) and isinstance(second, FileDataset)):
        return []
    return sorted({image for image, _ in first.pairs} & {image for image, _ in second.pairs})


def survey_table(title: str, classes: Classes, survey: Survey) -> Table:
    """What a survey found: a row a class, and one of ignored pixels."""
    from rich.table import Table

    statistics, present = survey.statistics, survey.images_where_present
    total = max(1, statistics.pixels.sum())
    columns = _weights(survey)
    caption = f"{title}: {len(survey.counts)} images, {sizes(survey)}; class weights by each definition of balancing"
    table = Table("class", title=caption, title_justify="left")
    for heading in ("pixels", "share, %", "images", *columns):
        table.add_column(heading, justify="right")
    for number, name in enumerate((*classes.names, "ignored")):
        ignored = number == len(classes)
        table.add_row(
            name,
            f"{statistics.pixels[number]:,}",
            f"{100 * statistics.pixels[number] / total:.2f}",
            f"{present[number]}",
            *("" if ignored else f"{column[number]:.4f}" for column in columns.values()),
            end_section=number == len(classes) - 1,
        )
    return table


def _weights(survey: Survey) -> Mapping[str, list[float]]:
    """Class weights by each definition of balancing; none where no pixel is labelled."""
    from keras_segnet.data import median_frequency_weights

    if not survey.counts[:, :-1].any():
        return {}
    return {name: median_frequency_weights(survey.statistics, name).tolist() for name in BALANCING}


def sizes(survey: Survey) -> str:
    """Height and width of the images, or how far they go."""
    ordered = sorted(survey.sizes, key=lambda size: (size[0] * size[1], size))
    written = [f"{height}x{width}" for height, width in ordered]
    if len(written) < 2:
        return written[0] if written else "none readable"
    return f"{len(written)} sizes from {written[0]} to {written[-1]}"
