"""Does LiteRT's GPU backend take a .tflite file whole, and does it compute the same?

The backend ships with ai-edge-litert (WebGPU over Vulkan) and runs on any Vulkan device: a GPU, or a software device
such as SwiftShader, which is slow and exact and needs no hardware.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_segnet.errors import InputError
from keras_segnet.exporting.parity import street_images

WORKER = Path(__file__).with_name("gpu_worker.py")


@dataclass(frozen=True)
class GpuReport:
    """The result of running a file on the GPU backend.

    Attributes:
        path: of the file.
        device: the Vulkan device, or None where there is none.
        fully_accelerated: whether the backend took every op.
        rejected: a line for each op that it does not take: its name and the reason.
        largest_difference: largest absolute difference between GPU and CPU outputs; infinite where nothing ran.
        label_agreement: share of pixels with the same class from both, 0..1; 0 where nothing ran.
    """

    path: Path
    device: str | None
    fully_accelerated: bool
    rejected: tuple[str, ...]
    largest_difference: float
    label_agreement: float


def check_gpu(
    path: str | os.PathLike[str],
    images: np.ndarray | None = None,
    software_device: str | os.PathLike[str] | None = None,
) -> GpuReport:
    """Runs a file on LiteRT's GPU backend alone, in a process of its own, beside the CPU.

    Args:
        path: a .tflite file with one input and one output, as `to_tflite` writes.
        images: `(count, height, width, 3)` RGB 0..255 of the file's input size. Default: two drawn streets.
        software_device: folder with SwiftShader (`libvulkan.so.1`, `vk_swiftshader_icd.json` and what that names), to
            use instead of the machine's own Vulkan devices.

    Raises:
        InputError: there is no such file, it is no .tflite file of a network here, or `software_device` is not such a
            folder.
        RuntimeError: the process ended in a way that is no answer; its last words are in the message.
    """
    from keras_segnet.inference.segmenters import open_tflite

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} does not exist; a .tflite file is expected there.")
    segmenter = open_tflite(path)
    if images is None:
        images = np.stack(street_images(segmenter.input_size, 2))
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.npy", Path(folder) / "outputs.npz"
        np.save(inputs, [segmenter.to_input(image[None]) for image in images])
        done = subprocess.run(
            [sys.executable, WORKER, path.resolve(), inputs, outputs],
            capture_output=True,
            text=True,
            env=os.environ | (_environment(Path(software_device)) if software_device else {}),
            cwd=folder,
        )
        device = re.search(r"Selected adapter: (.+)", done.stderr)
        rejected = re.search(r"operations are not supported by GPU delegate:\n(.*?)\n\d+ operations", done.stderr, re.S)
        found = np.load(outputs) if outputs.is_file() else None
        if found is None and device is not None and rejected is None:
            last_words = " ".join(done.stderr.split())[-500:]
            raise RuntimeError(f"{path}: the GPU backend ended with status {done.returncode}: {last_words}")
        return GpuReport(
            path=path,
            device=device[1] if device else None,
            fully_accelerated=found is not None and bool(found["fully_accelerated"]),
            rejected=tuple(rejected[1].splitlines()) if rejected else (),
            largest_difference=math.inf if found is None else _largest_difference(found["gpu"], found["cpu"]),
            label_agreement=0.0 if found is None else _agreement(found["gpu"], found["cpu"]),
        )


def _environment(folder: Path) -> dict[str, str]:
    """Makes the Vulkan loader in a folder, and the device beside it, the ones that are found."""
    driver = folder.resolve() / "vk_swiftshader_icd.json"
    if not driver.is_file():
        raise InputError(f"{folder} is no folder with SwiftShader: there is no vk_swiftshader_icd.json in it.")
    libraries = [str(driver.parent), os.environ.get("LD_LIBRARY_PATH", "")]
    return {
        "VK_DRIVER_FILES": str(driver),
        "VK_ICD_FILENAMES": str(driver),
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        "XDG_RUNTIME_DIR": os.environ.get("XDG_RUNTIME_DIR", tempfile.gettempdir()),
    }


def _largest_difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.float64) - other.astype(np.float64)).max())


def _agreement(one: np.ndarray, other: np.ndarray) -> float:
    if one.ndim == 5:  # A score for each class; else the classes themselves.
        one, other = one.argmax(axis=-1), other.argmax(axis=-1)
    return float((one == other).mean())


__all__ = ["GpuReport", "check_gpu"]
