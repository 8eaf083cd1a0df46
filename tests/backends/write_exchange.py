"""Writes models of this backend, and what they answer, into a folder for the other backends to read."""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import networks
import numpy as np


def main(folder):
    folder = Path(folder) / keras.backend.backend()
    folder.mkdir(parents=True)
    for network in networks.NETWORKS:
        for size in networks.SIZES:
            model = networks.build(network, size)
            model.save(folder / f"{network}-{size}.keras")
            np.save(folder / f"{network}-{size}.npy", model.predict(networks.image(size), verbose=0))


if __name__ == "__main__":
    main(sys.argv[1])
