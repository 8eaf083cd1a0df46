"""Initial weights for an encoder: the 13 convolutions of VGG16, trained on ImageNet.

VGG16 has two sets of weights in use, which expect different input normalisation:

| source | expects |
|---|---|
| `keras.applications.VGG16` | BGR 0..255, minus (103.939, 116.779, 123.68) |
| torchvision's `vgg16`, which an .npz here holds | RGB 0..1, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225) |

A network of ours normalises colours the second way inside. For Keras's weights the difference is a linear map of the
colours, so it is folded into the first convolution and the model needs no second convention.

An .npz holds `block1_conv1/kernel` (height, width, in, out) and `block1_conv1/bias` up to `block5_conv3/...`.
"""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np

from keras_segnet.files import reading
from keras_segnet.models.blocks import IMAGENET_MEAN, IMAGENET_STD
from keras_segnet.models.starting_weights import Encoder

CAFFE_BGR_MEAN = (103.939, 116.779, 123.68)

FILTERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of the 3x3 convolutions of VGG16, by stage; a pooling follows each stage."""

CONVOLUTIONS = {
    f"conv{stage}_{i}": f"block{stage}_conv{i}"
    for stage, filters in enumerate(FILTERS, start=1)
    for i in range(1, len(filters) + 1)
}
"""Name of each convolution in this library, and in the weights."""


def load_vgg16(model: keras.Model, weights: str | os.PathLike[str]) -> None:
    """Sets the 13 convolutions of VGG16 in a network of width 1.

    Args:
        model: a network with convolutions `conv1_1` ... `conv5_3` and preprocessing "imagenet"; whatever else it has
            keeps its weights.
        weights: `"imagenet"` for `keras.applications.VGG16`, or the path of an .npz.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no .npz, lacks a convolution, or holds one of another shape. Nothing has been set then.
    """
    found = _from_keras_applications() if str(weights) == "imagenet" else _from_npz(Path(weights))
    assignments = []
    for ours, theirs in CONVOLUTIONS.items():
        layer = model.get_layer(ours)
        for variable, part in ((layer.kernel, "kernel"), (layer.bias, "bias")):
            key = f"{theirs}/{part}"
            if key not in found:
                raise ValueError(f"{weights} holds no array {key!r}; it should have the 13 convolutions of VGG16.")
            if found[key].shape != tuple(variable.shape):
                raise ValueError(
                    f"{weights}: {key!r} has shape {found[key].shape}; layer {ours!r} takes {tuple(variable.shape)}."
                )
            assignments.append((variable, found[key]))
    for variable, value in assignments:
        variable.assign(value.astype("float32"))


VGG16 = Encoder("VGG16", download=lambda model: load_vgg16(model, "imagenet"), read=load_vgg16)


def _from_npz(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"weights: there is no file {path}; give 'imagenet' or the path of an .npz.")
    with reading(path, "cannot be read as an .npz"), np.load(path, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def _from_keras_applications() -> dict[str, np.ndarray]:
    vgg16 = keras.applications.VGG16(include_top=False, weights="imagenet")
    found = {}
    for name in CONVOLUTIONS.values():
        found[f"{name}/kernel"], found[f"{name}/bias"] = vgg16.get_layer(name).get_weights()
    first = "block1_conv1"
    found[f"{first}/kernel"], found[f"{first}/bias"] = fold_caffe_colours(
        found[f"{first}/kernel"], found[f"{first}/bias"]
    )
    return found


def fold_caffe_colours(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns a first convolution that expects Caffe's colours into an equal one that expects torchvision's.

    Args:
        kernel: `(height, width, 3, filters)`, for BGR 0..255 minus the mean.
        bias: `(filters,)`.

    Returns:
        Kernel and bias of the same shapes for normalised RGB. Equal everywhere but at the border of the image, where
        zero padding means colours that differ by less than 0.01 of 255.
    """
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    rgb_kernel = kernel[:, :, ::-1, :].astype("float64")
    offset = 255 * mean - np.array(CAFFE_BGR_MEAN[::-1])
    folded = rgb_kernel * (255 * std)[:, None]
    return folded, bias + np.einsum("hwcf,c->f", rgb_kernel, offset)
