"""The parity gate: what a file must show to count as a model's. Looks that do not depend on one another judge it.

`constants` compares the file's kernels and biases with the model's; `layers` what each layer makes of the same input
with the same filters; `labels` and `classes` what the file as a whole answers. A file that fails one is refused.
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
from keras_segnet.exporting.layerwise import Difference, LayeredFile, compare_layers, tensors_of
from keras_segnet.inference.segmenters import KerasSegmenter, Segmenter
from keras_segnet.inference.timing import time_runs
from keras_segnet.progress import Progress, silent
from keras_segnet.streets import draw_street_scene

TIMED_RUNS = 10
SIZE_OF_PROOF = (180, 240)
"""At which a network that accepts any size is compared."""
CLEAR = 3.0
"""Times the error measured: by so much must a pixel's best class lead for its label to count."""


class Bounds(NamedTuple):
    """What a file of one precision may be off.

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
    """`labels`: least share of equal labels where a pixel's best class leads by more than the error."""
    iou: float
    """`classes`: least IoU of any class there."""


BOUNDS = {
    "float32": Bounds(0.501, 1e-4, 3.0, 0.999, 0.95),
    "float16": Bounds(0.501, 1e-2, 3.0, 0.98, 0.50),
    "int8": Bounds(0.501, 3e-3, 3.0, 0.85, 0.25),
}
"""By precision."""


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
    """What one look found.

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
    """What rich prints of an object, as plain text."""
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
    """

    def __init__(
        self, model: keras.Model, file: ExportedFile, images: Sequence[np.ndarray], progress: Progress = silent
    ) -> None:
        self.model, self.file, self.progress = model, file, progress
        logits = without_softmax(model)
        self.network = keras.Model(logits.inputs[0], logits.outputs[0])  # Of a Sequential too.
        self.reference, self.exported = KerasSegmenter(model), file.segmenter()
        self.precision = self.exported.precision or "float32"
        self.bounds = BOUNDS[self.precision]
        size = self.exported.input_size or self.reference.input_size or SIZE_OF_PROOF
        self.streets = street_images(size)
        self.noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        own = [self.exported.resize_to_input(image) for image in images]
        self.shown = own or self.streets
        self.images = [*own, *self.streets, self.noise]
        self.closely = [*own[:1], self.streets[0], self.noise]

    @cached_property
    def pairs(self) -> list[tuple[Filters, Filters | None]]:
        return self.file.pairs(self.network)

    @cached_property
    def differences(self) -> list[Difference]:
        """Of each layer, on the images that are looked at closely."""
        tensors = tensors_of(self.network, self.pairs, self.file)
        images = self.progress(self.closely, len(self.closely), "Comparing layers")
        return [
            # What noise makes of a layer was not measured when the ranges of an int8 file were.
            difference._replace(lost=0.0) if image is self.noise else difference
            for image in images
            for difference in compare_layers(
                self.network, self.file, self.pairs, tensors, image[None], self.exported.head or "probabilities"
            )
        ]

    @cached_property
    def error(self) -> float:
        """Of a probability from end to end: root of the mean over pixels of the largest square."""
        squares = [
            np.square(self.reference.run(image[None]) - self.file.probabilities(image[None])).max(axis=-1).mean()
            for image in self.closely
        ]
        return float(np.sqrt(np.mean(squares)))

    @cached_property
    def answers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Probabilities of the model and of the file, of each image."""
        images = self.progress(self.images, len(self.images), "Comparing labels")
        return [(self.reference.run(image[None]), self.exported.run(image[None])) for image in images]

    @cached_property
    def clear_labels(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels of the model and of the file where the model's best class leads by more than the error."""
        ours, theirs = [], []
        for expected, found in self.answers:
            second, first = np.partition(expected, -2, axis=-1)[..., -2:].transpose(3, 0, 1, 2)
            clear = first - second > CLEAR * self.error
            ours.append(expected.argmax(axis=-1)[clear])
            theirs.append(found.argmax(axis=-1)[clear])
        return np.concatenate(ours), np.concatenate(theirs)

    @property
    def is_decided(self) -> bool:
        """Whether there are pixels enough that rounding does not decide: in a random int8 network there may be none."""
        total = sum(expected[..., 0].size for expected, _ in self.answers)
        return self.clear_labels[0].size >= 0.01 * total


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
        """Of the error that is allowed."""
        rounding = ROUNDING * difference.magnitude
        if difference.lost > max(SATURATION * difference.signal, difference.step, rounding):
            return np.inf
        allowed = max(bounds.noise * difference.signal, bounds.integer_steps * difference.step, rounding)
        return (
            np.nan_to_num(difference.error / allowed, nan=np.inf)
            if difference.error > 0 or np.isnan(difference.error)
            else 0.0
        )

    worst = max(evidence.differences, key=share)
    ratio = worst.signal / worst.error if worst.error > 0 else np.inf
    decibels = f"signal to noise {20 * np.log10(ratio):.0f} dB" if ratio > 0 else "no signal"
    return Finding(
        "layers",
        f"{len({each.layer for each in evidence.differences})} outputs, worst {worst.layer}",
        f"{share(worst):.2g} of the error allowed ({decibels})",
        "at most 1",
        bool(share(worst) <= 1),
    )


def labels(evidence: Evidence) -> Finding:
    """Labels, where the two best classes are further apart than the error."""
    ours, theirs = evidence.clear_labels
    total = sum(expected[..., 0].size for expected, _ in evidence.answers)
    what = f"{100 * ours.size / total:.0f} % of the pixels, whose best class leads by {CLEAR * evidence.error:.2g}"
    if not evidence.is_decided:
        return Finding("labels", what, "too few to judge by", "", True)
    same = float((ours == theirs).mean())
    required = evidence.bounds.labels
    return Finding("labels", what, f"{100 * same:.3f} % equal", f"at least {100 * required:g} %", same >= required)


def classes(evidence: Evidence) -> Finding:
    """IoU of each class there, the file's labels against the model's."""
    ours, theirs = evidence.clear_labels
    counted = np.bincount(ours, minlength=evidence.reference.num_classes)
    occurring = np.flatnonzero(counted >= max(20, 5e-4 * ours.size))
    what = f"{len(occurring)} classes that occur there"
    if not evidence.is_decided or not len(occurring):
        return Finding("classes", what, "too few pixels to judge by", "", True)
    overlaps = [((ours == c) & (theirs == c)).sum() / ((ours == c) | (theirs == c)).sum() for c in occurring]
    least = int(np.argmin(overlaps))
    return Finding(
        "classes",
        f"{what}, worst class {occurring[least]}",
        f"IoU {overlaps[least]:.3f}",
        f"at least {evidence.bounds.iou:g}",
        bool(overlaps[least] >= evidence.bounds.iou),
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
    answers = evidence.answers[: len(evidence.shown)]
    same = [expected.argmax(axis=-1) == found.argmax(axis=-1) for expected, found in answers]
    largest = float(np.max([np.abs(expected - found).max() for expected, found in answers]))
    one = evidence.exported.to_input(evidence.shown[0][None])
    return ParityReport(
        path=shown_path or path,
        precision=evidence.precision,
        findings=findings,
        images=len(evidence.shown),
        # Where anything is NaN, argmax says nothing.
        label_agreement=0.0 if np.isnan(largest) else float(np.mean(same)),
        largest_difference=largest,
        size=_size_on_disk(path),
        ops=evidence.file.ops,
        latency=statistics.median(time_runs(evidence.exported, one, TIMED_RUNS)),
    )


def street_images(size: tuple[int, int], count: int = 4) -> list[np.ndarray]:
    """Drawn streets: uint8 RGB of `size`."""
    return [draw_street_scene(seed, size)[0] for seed in range(count)]


def _size_on_disk(path: Path) -> int:
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )
