"""Writes models of this backend, and what they answer, into a folder for the other backends to read."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import networks
import numpy as np
from small_networks import NETWORKS as REGISTERED


def main(folder):
    folder = Path(folder) / keras.backend.backend()
    folder.mkdir(parents=True)
    for network in networks.NETWORKS:
        for size in networks.SIZES:
            write(folder / f"{network}-{size}.keras", networks.build(network, size), networks.image(size))
    if keras.backend.backend() == "tensorflow":
        for network in REGISTERED:
            write(folder / f"{network}-small.keras", networks.build_small(network), networks.picture(*networks.SMALL))


def write(path, model, image):
    model.save(path)
    np.save(path.with_suffix(".npy"), model.predict_on_batch(image))


if __name__ == "__main__":
    main(sys.argv[1])
