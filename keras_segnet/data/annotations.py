"""What label tools write: images, and on each the shapes of classes, one over the other; drawn when they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from keras_segnet.colours import distinct_colours
from keras_segnet.data import polygons
from keras_segnet.data.dataset import Classes, Example, SegmentationDataset
from keras_segnet.data.files import OnFault, find_images, refuse
from keras_segnet.data.images import read_image, refuse_damaged
from keras_segnet.data.splits import FRACTIONS, SPLITS, deal_out, refuse_other_split
from keras_segnet.errors import InputError, shown
from keras_segnet.files import first_line, unique_file_names

IGNORED = 255

BACKGROUND = frozenset({"background", "_background_", "__background__", "bg"})
"""Names that tools give to the class of all pixels without a label."""

IGNORE = frozenset({"__ignore__", "_ignore_", "ignore", "ignored", "void"})
"""Names of classes whose pixels are ignored."""

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names that tools give to each split."""


@dataclass(frozen=True)
class Shape:
    """The region that one object covers in an image.

    Attributes:
        name: of its class.
        rings: of polygons, see `keras_segnet.data.polygons.fill`.
        mask: makes a mask, bool `(height, width)`, of this height and width; None for a shape that is its rings.
    """

    name: str
    rings: tuple[np.ndarray, ...] = ()
    mask: Callable[[tuple[int, int]], np.ndarray] | None = None

    def covers(self, size: tuple[int, int]) -> np.ndarray:
        """The pixels that belong to it: bool `(height, width)`."""
        return polygons.fill(self.rings, size) if self.mask is None else self.mask(size)


@dataclass(frozen=True)
class Annotated:
    """An image and what is drawn on it.

    Attributes:
        written: path of the image as the tool has it.
        size: height and width for which the shapes are drawn, or None where the tool does not say.
        shapes: in the order in which they are drawn: where two overlap, the later one is seen.
        split: "train", "val" or "test", or None where the tool has no splits.
        where: file, for messages.
    """

    written: str
    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]
    where: Path
    split: str | None = None


@dataclass(frozen=True)
class Annotations:
    """An export of a label tool.

    Attributes:
        items: the images.
        names: of classes, in the tool's order, those that no image has among them.
        colours: RGB of some classes by name.
    """

    items: tuple[Annotated, ...]
    names: tuple[str, ...] = ()
    colours: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    def classes(self) -> tuple[Classes, dict[str, int]]:
        """The classes, background first, and the label value of each name. Ignored pixels are 255."""
        names = dict.fromkeys((*self.names, *(shape.name for item in self.items for shape in item.shapes)))
        background = next((name for name in names if name.lower() in BACKGROUND), "background")
        kept = [background, *(name for name in names if name != background and name.lower() not in IGNORE)]
        colours = [self.colours.get(background, (0, 0, 0))]
        for name, drawn in zip(kept[1:], distinct_colours(len(kept) - 1), strict=True):
            own = self.colours.get(name, drawn)
            colours.append(drawn if own in colours else own)
        values = {name: number for number, name in enumerate(kept)}
        classes = Classes(tuple(kept), tuple(colours), IGNORED)
        return classes, values | {name: IGNORED for name in names if name.lower() in IGNORE}


class AnnotatedDataset(SegmentationDataset):
    """Images of a label tool's export, whose labels are drawn when they are read."""

    def __init__(
        self, name: str, classes: Classes, values: Mapping[str, int], items: Sequence[tuple[Path, Annotated]]
    ) -> None:
        self.name = name
        self.classes = classes
        self.items = items
        self._values = values
        self._names = unique_file_names(image.stem for image, _ in items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Example:
        image_path, annotated = self.items[index]
        image = read_image(image_path)
        return Example(image, self._draw(image_path, annotated, (image.shape[0], image.shape[1])))

    def item_name(self, index: int) -> str:
        return self._names[index]

    def check(self, index: int) -> Example:
        refuse_damaged(self.items[index][0])
        return self[index]

    def _draw(self, path: Path, annotated: Annotated, size: tuple[int, int]) -> np.ndarray:
        drawn_for = annotated.size or size
        turn = _turn(path) if drawn_for != size else None
        if drawn_for != size and not (turn is not None and drawn_for == size[::-1]):
            raise InputError(
                f"{annotated.where}: the labels of {annotated.written:.300} are drawn for {drawn_for[0]}x"
                f"{drawn_for[1]}, and {path} is {size[0]}x{size[1]}."
            )
        label = np.zeros(drawn_for, np.uint8)
        for shape in annotated.shapes:
            try:
                label[shape.covers(drawn_for)] = self._values[shape.name]
            except Exception as error:  # What a tool wrote of a mask: compressed, encoded, or of another size.
                raise InputError(
                    f"{annotated.where}: a shape {shown(shape.name)} of {annotated.written:.300} cannot be drawn: "
                    f"{first_line(error)}"
                ) from error
        return label if turn is None else np.ascontiguousarray(turn(label))


def _turn(path: Path) -> Callable[[np.ndarray], np.ndarray] | None:
    """The function that turns stored pixels upright, if EXIF says that the image lies on its side; else None."""
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(274, 1)
    except Exception:  # Whoever reads the image says what is wrong with it.
        return None
    turns: Mapping[int, Callable[[np.ndarray], np.ndarray]] = {
        5: lambda label: label.T,
        6: lambda label: np.rot90(label, -1),
        7: lambda label: np.rot90(label, 2).T,
        8: lambda label: np.rot90(label, 1),
    }
    return turns.get(orientation)


def open_annotations(
    root: Path, found: Annotations, split: str, on_fault: OnFault = refuse, seed: int = 0
) -> AnnotatedDataset:
    """One split of a label tool's export.

    Args:
        root: the folder in which the images are looked for, by the ends of their paths.
        found: what the tool wrote.
        split: "train", "val", "test", or "all" for every image. Where the tool has no splits, images are split at
            random as for a folder of one's own.
        on_fault: is told of images that are missing, or labelled twice. Default: raises an `InputError`.
        seed: of the random split. Default 0.

    Raises:
        InputError: the split is not one of these or has no image, or an image is missing.
    """
    refuse_other_split(split, (*SPLITS, "all"))
    images = find_images(root, lambda _: None)
    by_name: dict[str, list[Path]] = {}
    for file in images.values():
        by_name.setdefault(file.name, []).append(file)
    items: dict[Path, Annotated] = {}
    for item in found.items:
        image = _find(item.written, by_name)
        if image is None:
            on_fault(f"{item.where}: the image {item.written:.300} was not found below {root}.")
        elif image in items:
            on_fault(f"{item.where}: {image} has labels in {items[image].where} already; only those are read.")
        else:
            items[image] = item
    chosen = sorted(items) if split == "all" else _of_split(items, split, seed, root)
    if not chosen:
        raise InputError(f"{root} has no image of the split {split}.")
    classes, values = found.classes()
    return AnnotatedDataset(f"{root.resolve().name} {split}", classes, values, [(path, items[path]) for path in chosen])


def _of_split(items: Mapping[Path, Annotated], split: str, seed: int, root: Path) -> list[Path]:
    if any(item.split for item in items.values()):
        return sorted(path for path, item in items.items() if item.split == split)
    paths = {path.as_posix(): path for path in items}
    return [paths[name] for name in deal_out(sorted(paths), FRACTIONS, seed, root)[split]]


def splits_of(found: Annotations) -> list[str]:
    """The splits that a tool names; none where it leaves that to others."""
    named = {item.split for item in found.items}
    return [split for split in SPLITS if split in named]


def _find(written: str, by_name: Mapping[str, Sequence[Path]]) -> Path | None:
    """The image whose path has most of the last parts of a written path; None if there is none, or several."""
    parts = PurePosixPath(written.replace("\\", "/")).parts
    candidates: Iterable[Path] = by_name.get(parts[-1] if parts else "", ())
    ranked = sorted(((_in_common(parts, path.parts), path) for path in candidates), reverse=True)
    if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
        return None
    return ranked[0][1] if ranked else None


def _in_common(first: Sequence[str], second: Sequence[str]) -> int:
    pairs = zip(reversed(first), reversed(second), strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
