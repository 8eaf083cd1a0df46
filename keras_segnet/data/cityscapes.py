"""Cityscapes: 2,975 training and 500 validation images of German streets, 1024x2048, 19 classes."""

from __future__ import annotations

import os
from pathlib import Path

from keras_segnet.data.dataset import Classes, FileDataset
from keras_segnet.data.files import OnFault, find_images, refuse
from keras_segnet.data.kinds import data_kind, has
from keras_segnet.data.labels import LabelCoding
from keras_segnet.data.splits import refuse_other_split
from keras_segnet.errors import InputError

SPLITS = ("train", "val")

TRAINED = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)
"""Id, name and colour of the 19 classes that count, in the order of their train ids (cityscapesScripts, labels.py)."""

CLASSES = Classes(
    names=tuple(name for _, name, _ in TRAINED), colours=tuple(colour for *_, colour in TRAINED), ignored=255
)

IDS = LabelCoding(
    {identity: 255 for identity in range(34)} | {identity: train for train, (identity, *_) in enumerate(TRAINED)},
    ignored=255,
)
"""Of `*_labelIds.png`: 34 ids, of which those that are not trained are ignored."""


@data_kind(
    holds="leftImg8bit/ and gtFine/",
    recognises=has("leftImg8bit", "gtFine"),
    splits=lambda path: list(SPLITS),
)
def cityscapes(path: str | os.PathLike[str], split: str = "train", *, on_fault: OnFault = refuse) -> FileDataset:
    """One split of Cityscapes with its fine labels.

    Args:
        path: the folder that holds `leftImg8bit/SPLIT/CITY/*_leftImg8bit.png` and `gtFine/SPLIT/CITY/`, in which the
            labels are `*_gtFine_labelIds.png` (34 ids) or `*_gtFine_labelTrainIds.png` (19 train ids).
        split: "train" (default) or "val". The labels of test images are not published.
        on_fault: is told of images without a label and labels without an image. Default: raises an `InputError`.

    Returns:
        A data set whose labels are the train ids 0..18 as in `CLASSES`, and 255 for ignored pixels.

    Raises:
        InputError: the split is not one of these, it is no folder of Cityscapes, or a label or an image is missing.
    """
    refuse_other_split(split, SPLITS, "labels of Cityscapes' test images are not published")
    root = Path(path)
    folders = root / "leftImg8bit" / split, root / "gtFine" / split
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder; {root} should hold leftImg8bit/ and gtFine/ with {split}/.")
    images, labels = (find_images(folder, on_fault) for folder in folders)
    kinds = {name.rpartition("_")[2] for name in labels}
    kind = "labelTrainIds" if "labelTrainIds" in kinds and "labelIds" not in kinds else "labelIds"
    wanted = {f"{name.removesuffix('_leftImg8bit')}_gtFine_{kind}": image for name, image in images.items()}
    for name in sorted(wanted.keys() - labels.keys()):
        on_fault(f"{wanted[name]} has no label; {folders[1] / name}.png is expected.")
    for name in sorted(labels.keys() - wanted.keys()):
        if name.endswith(f"_{kind}"):
            on_fault(f"{labels[name]} has no image below {folders[0]}.")
    pairs = tuple((wanted[name], labels[name]) for name in sorted(wanted.keys() & labels.keys()))
    return FileDataset(f"cityscapes {split}", CLASSES, pairs, IDS if kind == "labelIds" else CLASSES.coding)
