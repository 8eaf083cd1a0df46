"""Makes the weights that come with the package out of a row of the CamVid table.

.venv/bin/python benchmarks/camvid/pack_weights.py runs/table/segnet_edge/2/model.keras
"""

from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.catalogue import WEIGHTS
from keras_segnet.inference.segmenters import load_keras_model
from keras_segnet.models.trained import write_weights


def main(model: Annotated[Path, typer.Argument(help="The .keras file; its network's name names the weights.")]) -> None:
    """Writes keras_segnet/weights/NETWORK_camvid.npz."""
    network = load_keras_model(model)
    path = WEIGHTS / f"{network.name}_camvid.npz"
    write_weights(network, path)
    print(f"Wrote {path}, {path.stat().st_size / 1e6:.2f} MB.")


if __name__ == "__main__":
    typer.run(main)
