"""The parity gate: the checks, called looks, by which a file counts as a model's. They are independent.

`constants` compares the file's kernels and biases with the model's; `layers` what each layer makes of the same input
with the same filters; `labels` and `classes` what the file as a whole answers. A file that fails one is refused.

All of them look at drawn streets and noise, whatever images there are besides: a file is accepted or refused for what
is in it. The user's images are for the user to see how the file does on them.
"""

from __future__ import annotations

import html
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import keras
import numpy as np

from keras_segnet.exporting.constants import Filters, steps_off
from keras_segnet.exporting.heads import without_softmax
from keras_segnet.exporting.layerwise import (
    Difference,
    LayeredFile,
    compare_layers,
    labels_after_rounding,
    labels_within_ranges,
    tensors_of,
)
from keras_segnet.exporting.quantization import ACTIVATIONS
from keras_segnet.inference.segmenters import KerasSegmenter, Segmenter
from keras_segnet.inference.timing import time_runs
from keras_segnet.progress import Progress, silent
from keras_segnet.streets import draw_street_scene

TIMED_RUNS = 10
SIZE_OF_PROOF = (180, 240)
"""Height and width at which the gate compares a network that accepts any size."""


class Bounds(NamedTuple):
    """The bounds on the errors of a file of one precision.

    Rounding errors of a healthy file are well inside, whatever the network and its weights; docs/exporting.md has the
    figures.
    """

    steps: float
    """`constants`: the largest difference, in steps of the file's own precision. Rounding makes 0.5."""
    noise: float
    """`layers`: error of a layer's floats, over the standard deviation of what it should give."""
    integer_steps: float
    """`layers`: error of a layer's integers, in their own steps. Rounding makes 0.29; a sum of four maps, 1.8."""
    labels: float
    """`labels`: share that may differ beside those that rounding explains."""
    iou: float
    """`classes`: what a class's IoU may lack beside what rounding explains."""


BOUNDS = {
    "float32": Bounds(0.501, 1e-4, 3.0, 0.005, 0.10),
    "float16": Bounds(0.501, 1e-2, 3.0, 0.03, 0.25),
    "int16x8": Bounds(0.501, 1e-3, 3.0, 0.03, 0.25),
    "int8": Bounds(0.501, 3e-3, 3.0, 0.03, 0.25),
}
"""What a file may be off, by its precision."""


EXPLAINED = 2.0
"""`labels` and `classes` may be off by so many times what rounding explains, and by their bounds besides. Of a small
map of an untrained network, one index that rounding moves changes the labels of a whole window of the encoder."""
LEAST_PIXELS = 100
"""Smallest number of pixels of a class whose IoU is judged; it must also have a thousandth of all pixels."""


SATURATION = 0.5
"""What an int8 file may be unable to hold of a layer, over its standard deviation, on images like those that its ranges
were measured on."""


ROUNDING = 1e-5
"""What float32 arithmetic may be off, over the largest value: more than the bounds, of a nearly constant map."""


class ExportedFile(LayeredFile, Protocol):
    """An exported file of any format, opened to be judged."""

    @property
    def ops(self) -> Mapping[str, int]:
        """How often each op occurs, most frequent first."""

    def segmenter(self) -> Segmenter:
        """The file at work."""

    def pairs(self, model: keras.Model) -> list[tuple[Filters, Filters | None]]:
        """The model's constants, each with the file's; None where the file has none of that shape."""


@dataclass(frozen=True)
class Finding:
    """The result of one look.

    Attributes:
        look: its name.
        what: what was compared, and where it is worst.
        found: the figure.
        required: what it must be.
        passed: whether it is.
    """

    look: str
    what: str
    found: str
    required: str
    passed: bool


@dataclass(frozen=True)
class ParityReport:
    """How an exported file compares with the Keras model. Shows itself as a table.

    Attributes:
        path: of the file or folder.
        precision: whose bounds it was held to.
        findings: one for each look.
        images: number of images whose labels were compared: the user's if there are any, else drawn streets.
        label_agreement: share of their pixels with the same label, 0..1.
        largest_difference: largest absolute difference of a probability there. A single pixel whose best classes are
            nearly equal decides it, and a pooling index that rounding moves: far from 0 beside an agreement of 100 % is
            usual for float16 and int8. Of a class map: 1 if any label differs.
        size: bytes on disk.
        ops: how often each op occurs in the file.
        latency: median seconds for one image, after a run to warm up, on this machine's CPU.
        rounding: of a file of integers, what they cost each layer by itself, weights and activations together: error
            of a channel over its standard deviation, 1 at most, root of the mean square of all channels; the worst
            first. Of other files: empty.
    """

    path: Path
    precision: str
    findings: tuple[Finding, ...]
    images: int
    label_agreement: float
    largest_difference: float
    size: int
    ops: Mapping[str, int] = field(repr=False)
    latency: float
    rounding: Mapping[str, float] = field(repr=False)

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)

    def __rich__(self) -> Any:
        from rich.table import Table

        table = Table(
            *("look", "compared", "found", "required"),
            title=f"{self.path.name}, {self.precision}, held against the Keras model",
            title_justify="left",
            caption=f"{100 * self.label_agreement:.3f} % of the labels on {self.images} images are the model's, the "
            f"largest difference of one pixel's probability is {self.largest_difference:.1e} · "
            f"{self.size / 1e6:.2f} MB · "
            f"{1e3 * self.latency:.1f} ms an image here",
            caption_justify="left",
        )
        for finding in self.findings:
            table.add_row(
                finding.look, finding.what, finding.found + ("" if finding.passed else " ✗"), finding.required
            )
        return table

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def as_text(shown: Any) -> str:
    """An object as rich prints it, in plain text."""
    from rich.console import Console

    console = Console(width=120, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(shown)
    return captured.get()


class ParityError(Exception):
    """A file is not the model's. `report` says all that was found, the message which looks failed and by how much."""

    def __init__(self, report: ParityReport, fate: str) -> None:
        self.report = report
        failed = "; ".join(
            f"{finding.look}: {finding.what}: {finding.found}, required is {finding.required}"
            for finding in report.findings
            if not finding.passed
        )
        super().__init__(f"{report.path} {fate}: {failed}.")


class Evidence:
    """A file and a model beside each other, on the same images.

    Args:
        model: the network, in float32.
        file: the file.
        images: the user's uint8 RGB images, of any size; may be none.
        progress: shows how far the comparison is.

    Attributes:
        proof: images that the looks are taken on, uint8 `(1, height, width, 3)`: the same for each file of a size.
        shown: images that the report shows labels of: the user's if there are any, else drawn streets.
    """

    def __init__(
        self, model: keras.Model, file: ExportedFile, images: Sequence[np.ndarray], progress: Progress = silent
    ) -> None:
        self.model, self.file, self.progress = model, file, progress
        logits = without_softmax(model)
        self.network = keras.Model(logits.inputs[0], logits.outputs[0])  # Of a Sequential too.
        self.reference, self.exported = KerasSegmenter(model), file.segmenter()
        self.precision = self.exported.precision or "float32"
        self.head = self.exported.head or "probabilities"
        self.bounds = BOUNDS[self.precision]
        size = self.exported.input_size or self.reference.input_size or SIZE_OF_PROOF
        streets = [street[None] for street in street_images(size, 2)]
        self.noise = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
        self.proof = [*streets, self.noise]
        self.shown = [self.exported.resize_to_input(image)[None] for image in images] or streets

    @cached_property
    def pairs(self) -> list[tuple[Filters, Filters | None]]:
        return self.file.pairs(self.network)

    @cached_property
    def tensors(self) -> dict[str, Any]:
        return tensors_of(self.network, self.pairs, self.file)

    @cached_property
    def differences(self) -> list[list[Difference]]:
        """Differences of each layer, on each image of the proof."""
        found = []
        for image in self.progress(self.proof, len(self.proof), "Comparing layers"):
            of_image = compare_layers(self.network, self.file, self.pairs, self.tensors, image, self.head)
            if image is self.noise:
                # What noise makes of a layer was not measured when the ranges of an int8 file were.
                of_image = [difference._replace(lost=0.0) for difference in of_image]
            found.append(of_image)
        return found

    @cached_property
    def labels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels of all pixels of the proof: the model's within the file's ranges, the file's, the rounded model's."""
        generator = np.random.default_rng(0)
        maps = [
            (
                labels_within_ranges(self.network, differences, image),
                self.exported.run(image).argmax(axis=-1),
                labels_after_rounding(self.network, self.pairs, differences, image, self.head, generator),
            )
            for image, differences in zip(self.proof, self.differences, strict=True)
        ]
        model, file, rounded = (np.ravel(each) for each in zip(*maps, strict=True))
        return model, file, rounded

    @cached_property
    def rounding(self) -> dict[str, float]:
        """The noise of each layer by itself on an image, with the model's own filters; see `Difference`."""
        own = [(ours, ours) for ours, theirs in self.pairs if theirs is not None]
        found = compare_layers(self.network, self.file, own, self.tensors, self.shown[0], self.head)
        return dict(sorted(((each.layer, each.noise) for each in found), key=lambda item: -item[1]))


def constants(evidence: Evidence) -> Finding:
    """Each kernel and bias, dequantised, against the model's after folding batch normalisation."""
    worst, where = 0.0, ""
    for ours, theirs in evidence.pairs:
        if theirs is None:
            return Finding("constants", f"kernel of {ours.name}", "is not in the file", "every kernel", False)
        for kind, steps in zip(("kernel", "bias"), steps_off(ours, theirs), strict=True):
            if not steps <= worst:
                worst, where = steps, f", worst the {kind} of {ours.name}"
    return Finding(
        "constants",
        f"{len(evidence.pairs)} layers{where}",
        f"{worst:.3g} steps of {evidence.precision}",
        "at most 0.5",
        worst <= evidence.bounds.steps,
    )


def layers(evidence: Evidence) -> Finding:
    """Each layer, and the head, against the model's with the same input and filters."""
    bounds = evidence.bounds

    def share(difference: Difference) -> float:
        """Share of the allowed error."""
        rounding = ROUNDING * difference.magnitude
        if difference.lost > max(SATURATION * difference.signal, difference.step, rounding):
            return np.inf
        allowed = max(bounds.noise * difference.signal, bounds.integer_steps * difference.step, rounding)
        return (
            np.nan_to_num(difference.error / allowed, nan=np.inf)
            if difference.error > 0 or np.isnan(difference.error)
            else 0.0
        )

    worst = max((each for of_image in evidence.differences for each in of_image), key=share)
    ratio = worst.signal / worst.error if worst.error > 0 else np.inf
    decibels = f"signal to noise {20 * np.log10(ratio):.0f} dB" if ratio > 0 else "no signal"
    return Finding(
        "layers",
        f"{len(evidence.differences[0])} outputs, worst {worst.layer}",
        f"{share(worst):.2g} of the error allowed ({decibels})",
        "at most 1",
        bool(share(worst) <= 1),
    )


def labels(evidence: Evidence) -> Finding:
    """Compares labels: no more may differ than rounding explains."""
    model, file, rounded = evidence.labels
    same, explained = float((file == model).mean()), float((rounded == model).mean())
    required = 1 - EXPLAINED * (1 - explained) - evidence.bounds.labels
    return Finding(
        "labels",
        f"{model.size} pixels, of which rounding keeps {100 * explained:.2f} %",
        f"{100 * same:.2f} % equal",
        f"at least {100 * required:.2f} %",
        same >= required,
    )


def classes(evidence: Evidence) -> Finding:
    """Compares the IoU of each class with the model's: it may lack no more than rounding explains."""
    model, file, rounded = evidence.labels
    counts = np.bincount(model)
    occurring = np.flatnonzero(counts >= min(max(LEAST_PIXELS, 1e-3 * model.size), counts.max())).tolist()

    def overlap(found: np.ndarray, number: int) -> float:
        return ((found == number) & (model == number)).sum() / ((found == number) | (model == number)).sum()

    found = {number: overlap(file, number) for number in occurring}
    required = {number: 1 - EXPLAINED * (1 - overlap(rounded, number)) - evidence.bounds.iou for number in occurring}
    worst = min(occurring, key=lambda number: found[number] - required[number])
    return Finding(
        "classes",
        f"{len(occurring)} classes that occur, worst class {worst}",
        f"IoU {found[worst]:.3f}",
        f"at least {max(required[worst], 0):.3f}",
        bool(found[worst] >= required[worst]),
    )


LOOKS: tuple[Callable[[Evidence], Finding], ...] = (constants, layers, labels, classes)


def judge(evidence: Evidence, path: Path, shown_path: Path | None = None) -> ParityReport:
    """Takes all looks at a file.

    Args:
        evidence: the file and the model.
        path: of the file, for its size.
        shown_path: what the report calls it. Default: `path`.
    """
    findings = tuple(look(evidence) for look in LOOKS)
    same, total, largest = 0, 0, 0.0
    for image in evidence.progress(evidence.shown, len(evidence.shown), "Comparing labels"):
        expected, found = evidence.reference.run(image), evidence.exported.run(image)
        same += int((expected.argmax(axis=-1) == found.argmax(axis=-1)).sum())
        total += expected[..., 0].size
        largest = float(np.maximum(largest, np.abs(expected - found).max()))
    one = evidence.exported.to_input(evidence.shown[0])
    return ParityReport(
        path=shown_path or path,
        precision=evidence.precision,
        findings=findings,
        images=len(evidence.shown),
        # Where anything is NaN, argmax says nothing.
        label_agreement=0.0 if np.isnan(largest) else same / total,
        largest_difference=largest,
        size=_size_on_disk(path),
        ops=evidence.file.ops,
        latency=statistics.median(time_runs(evidence.exported, one, TIMED_RUNS)),
        rounding=evidence.rounding if evidence.precision in ACTIVATIONS else {},
    )


def street_images(size: tuple[int, int], count: int = 4) -> list[np.ndarray]:
    """Drawn streets: uint8 RGB of `size`."""
    return [draw_street_scene(seed, size)[0] for seed in range(count)]


def _size_on_disk(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )
