"""What `data check` says beyond single faults: kinds of faults, a list of classes to begin with, weights that hurt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from keras_segnet.data.dataset import Classes
from keras_segnet.data.files import find_images
from keras_segnet.data.images import EXTENSIONS, read_label
from keras_segnet.data.labels import packed
from keras_segnet.data.statistics import Survey, median_frequency_weights
from keras_segnet.errors import InputError
from keras_segnet.threads import in_threads

ENDINGS = "|".join([*sorted(extension[1:] for extension in EXTENSIONS), "txt", "csv", "json", "xml"])
FILE = re.compile(rf"^.*?\.(?:{ENDINGS})\b|(?<= )\S*/.*?\.(?:{ENDINGS})\b", re.IGNORECASE)

LARGEST_WEIGHT = 10.0
"""Weight over the median one above which a class is predicted far beyond its true pixels."""

MOST_LABELS = 200
MOST_COLOURS = 64
"""Largest number of colours that count as classes: more mean a photograph, or labels resized with interpolation."""


def by_kind(faults: Iterable[str]) -> list[list[str]]:
    """Faults of one kind together: those that differ in nothing but files and numbers."""
    kinds: dict[str, list[str]] = {}
    for fault in faults:
        kinds.setdefault(re.sub(r"[0-9]+", "0", FILE.sub("FILE", fault)), []).append(fault)
    return list(kinds.values())


def suggested_class_list(labels: Path) -> str | None:
    """A `classes.csv` of the colours, or else the values, that label files hold, the commonest first.

    None if there are none, or more than classes are likely to be.

    Args:
        labels: folder of the label files, of which `MOST_LABELS` are read, spread evenly.
    """
    try:
        files = list(find_images(labels, lambda _: None).values())
    except InputError:
        return None
    chosen = np.unique(np.linspace(0, len(files) - 1, min(MOST_LABELS, len(files))).astype(int))
    colours, values = Counter[int](), Counter[int]()
    for of_colours, of_values in in_threads(_count, [files[index] for index in chosen]):
        colours += of_colours
        values += of_values
    counts = colours or values
    if not 2 <= len(counts) <= MOST_COLOURS:
        return None
    total = sum(counts.values())
    lines = ["name,r,g,b,share" if colours else "name,value,share"]
    for number, (code, count) in enumerate(counts.most_common()):
        written = f"{code >> 16},{code >> 8 & 255},{code & 255}" if colours else f"{code}"
        lines.append(f"class {number},{written},{100 * count / total:.2f} %")
    return "\n".join(lines) + "\n"


def _count(path: Path) -> tuple[Counter[int], Counter[int]]:
    """Pixels of each colour, as one number, of an RGB label; and of each value of a grey or palette one."""
    try:
        label = read_label(path)
    except InputError:
        return Counter(), Counter()
    codes, counts = np.unique(label if label.ndim == 2 else packed(label), return_counts=True)
    found = Counter(dict(zip(codes.tolist(), counts.tolist(), strict=True)))
    return (Counter(), found) if label.ndim == 2 else (found, Counter())


def rare_classes(classes: Classes, survey: Survey) -> Mapping[str, tuple[float, float]]:
    """Classes that median frequency balancing weighs more than `LARGEST_WEIGHT`.

    Returns:
        By name: their share of the labelled pixels, and their weight at exponent 1.
    """
    pixels = survey.statistics.pixels[:-1]
    if not pixels.any():
        return {}
    weights = median_frequency_weights(survey.statistics)
    return {
        classes.names[number]: (float(pixels[number] / pixels.sum()), float(weights[number]))
        for number in np.flatnonzero(weights > LARGEST_WEIGHT).tolist()
    }
