"""Export to a folder for web browsers: a page, two .tflite files, and the proof that runs on the visitor's device."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_segnet.data.dataset import Classes
from keras_segnet.data.geometry import STRETCH, Fit
from keras_segnet.errors import InputError
from keras_segnet.exporting.network import in_float32, size_of
from keras_segnet.exporting.parity import ParityReport
from keras_segnet.exporting.tflite import to_tflite
from keras_segnet.exporting.writing import check_path, partial_path, remove
from keras_segnet.inference.classes import classes_of
from keras_segnet.inference.segmenters import KerasSegmenter, Segmenter, TFLiteSegmenter
from keras_segnet.progress import Progress, silent
from keras_segnet.streets import draw_street_scene

FILES: dict[str, dict[str, Any]] = {
    "cpu": {"precision": "int8", "interface": "uint8"},
    "gpu": {"precision": "float16", "interface": "float32"},
}
"""The two files of a page. Browsers run int8 well on CPUs only; GPUs compute with float16."""

PAGE = Path(__file__).with_name("web_page")
"""The page: plain JavaScript modules, no build step. `export/web` in a checkout is a link to it."""

RUNTIME = Path("~/.cache/keras-segnet/web-runtime")
"""Where `make web-runtime` puts LiteRT.js."""

RUNTIME_FILES = ("index.js", "wasm-utils.js", "LICENSE", "wasm/litert_wasm_internal.wasm")
"""Files that every folder with the runtime must contain."""

SURE = 0.8
"""Share of the check image's pixels that are compared: the model's surest. Rounding may change the others."""

UNSURE = 255
"""Label of the pixels that are not compared; no class has it, because a network has at most 255 classes."""


def to_web(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    representative_data: Iterable[np.ndarray],
    input_size: tuple[int, int] | None = None,
    classes: Classes | Sequence[str] | None = None,
    images: Sequence[np.ndarray] | None = None,
    runtime: str | os.PathLike[str] = RUNTIME,
    fit: Fit | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ParityReport:
    """Exports a network as a folder of static files that any web server can offer and any phone's browser can open.

    The page labels images, videos and the camera's frames on the visitor's device, by LiteRT.js: an int8 file on the
    CPU, a float16 file on the GPU, both with `head="class_map"`. Before it shows anything, it labels a check image on
    each accelerator and refuses one that does not give the Keras model's labels.

    Args:
        model: a network of this library, under the TensorFlow backend.
        path: folder to write.
        representative_data: uint8 RGB images of any size on which the ranges of the int8 file are measured. A hundred
            of the training set are plenty.
        input_size: height and width. Default: the model's, where it has fixed ones.
        classes: as for `to_tflite`; the page's legend shows them.
        images: uint8 RGB images whose labels the report compares. Default: drawn streets. The check image is a drawn
            street in any case, since every visitor of the page can see it.
        runtime: folder with LiteRT.js, as `make web-runtime` writes it.
        fit: the rule by which images become inputs, which the file tells those who run it. Default: it tells none, and
            they stretch images.
        overwrite: whether an earlier web export at `path` may be replaced. Default False.
        progress: shows how far calibration and comparison are.

    Returns:
        The comparison of both files with the Keras model.

    Raises:
        InputError: an argument is none of these, `path` is not one to write to, or the runtime is not there.
        ParityError: a file does not compute what the model computes. Nothing is at `path` then.
    """
    target, runtime = check_path(path, "", overwrite, "model.json"), Path(runtime).expanduser()
    if missing := missing_of_runtime(runtime):
        raise InputError(
            f"{runtime} does not hold LiteRT.js ({missing[0]} is missing); `make web-runtime` in a checkout of this "
            "project fetches it there."
        )
    model = in_float32(model)
    reference = KerasSegmenter(model)
    size = size_of(model, input_size, "a web page")
    calibration = list(representative_data)
    check, _ = draw_street_scene(0, size)
    labels = _sure_labels(reference, check)
    with partial_path(target) as partial:
        try:
            shutil.copytree(PAGE, partial)
            shutil.copytree(runtime, partial / "runtime")
            (partial / "check-image.bin").write_bytes(check.tobytes())
            (partial / "check-labels.bin").write_bytes(labels.tobytes())
            reports, files = {}, {}
            for accelerator, options in FILES.items():
                file = partial / f"{accelerator}.tflite"
                reports[accelerator] = to_tflite(
                    model,
                    file,
                    head="class_map",
                    representative_data=calibration,
                    input_size=size,
                    classes=classes,
                    images=images,
                    fit=fit,
                    progress=progress,
                    **options,
                )
                agreement = _agreement(TFLiteSegmenter(file), check, labels)
                files[accelerator] = {"path": file.name, "input": options["interface"], "agreement": agreement}
            shown = classes_of(file, reference.num_classes)
            description = {
                "name": model.name,
                "height": size[0],
                "width": size[1],
                "fit": (fit or STRETCH).rule,
                "classes": [
                    {"name": name, "colour": colour} for name, colour in zip(shown.names, shown.colours, strict=True)
                ],
                "files": files,
            }
            (partial / "model.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}.") from error
        remove(target)
        os.replace(partial, target)
    return _together(target, reports)


def missing_of_runtime(folder: Path) -> list[str]:
    """Files of LiteRT.js that a folder lacks."""
    return [name for name in RUNTIME_FILES if not (folder.expanduser() / name).is_file()]


def _together(path: Path, reports: dict[str, ParityReport]) -> ParityReport:
    """One report on a folder of several files, each of whose findings names its file."""
    each = list(reports.values())
    return ParityReport(
        path=path,
        precision=" and ".join(report.precision for report in each),
        findings=tuple(
            replace(finding, look=f"{name}: {finding.look}")
            for name, report in reports.items()
            for finding in report.findings
        ),
        images=each[0].images,
        label_agreement=min(report.label_agreement for report in each),
        largest_difference=max(report.largest_difference for report in each),
        size=sum(report.size for report in each),
        ops=sum((Counter(report.ops) for report in each), Counter()),
        latency=each[0].latency,
        rounding=each[0].rounding,
    )


def _sure_labels(model: Segmenter, image: np.ndarray) -> np.ndarray:
    """The model's labels, uint8 `(height, width)`, and UNSURE where its two best classes are close."""
    probabilities = model.run(image[None])[0]
    second, best = np.sort(probabilities, axis=-1)[..., -2:].transpose(2, 0, 1)
    margin = best - second
    return np.where(margin >= np.quantile(margin, 1 - SURE), probabilities.argmax(axis=-1), UNSURE).astype(np.uint8)


def _agreement(exported: Segmenter, image: np.ndarray, labels: np.ndarray) -> float:
    """Share of the pixels that count to which an exported file gives the model's label, on this machine."""
    sure = labels != UNSURE
    return float((exported.run(image[None])[0].argmax(axis=-1) == labels)[sure].mean())
