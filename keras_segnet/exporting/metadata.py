"""What a .tflite file says of itself, in two notes.

One is for this library and the programs in `export/`: JSON under the name `keras_segnet`. The other is TensorFlow
Lite's model metadata, by which MediaPipe Tasks and others know what to feed and what comes out. Its schema is
`metadata_schema.fbs` 1.5.0 in MediaPipe's repository. The writers for it do not do: MediaPipe's own cannot be imported
from its wheel (1.2.2) and brings an OpenCV that overwrites ours, tflite-support ended with Python 3.11. So the few
tables that are needed are named here, and written with flatbuffers itself.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_segnet._compat import litert_schema
from keras_segnet.data.dataset import Classes
from keras_segnet.data.geometry import Fit
from keras_segnet.inference.segmenters import CONTENTS

LABELS = "labels.txt"
"""Name of the associated file with a class name a line, in the zip archive behind the model."""

FIELDS = {
    "ModelMetadata": (
        "name", "description", "version", "subgraph_metadata", "author", "license", "associated_files",
        "min_parser_version",
    ),
    "SubGraphMetadata": (
        "name", "description", "input_tensor_metadata", "output_tensor_metadata", "associated_files",
        "input_process_units", "output_process_units", "input_tensor_groups", "output_tensor_groups", "custom_metadata",
    ),
    "TensorMetadata": (
        "name", "description", "dimension_names", "content", "process_units", "stats", "associated_files",
    ),
    "Content": ("content_properties_type", "content_properties", "range"),
    "FeatureProperties": (),
    "ImageProperties": ("color_space", "default_size"),
    "ProcessUnit": ("options_type", "options"),
    "NormalizationOptions": ("mean", "std"),
    "Stats": ("max", "min"),
    "AssociatedFile": ("name", "description", "type", "locale", "version"),
    "CustomMetadata": ("name", "data"),
    "ImageSegmenterOptions": ("activation", "min_parser_version"),
}  # fmt: skip
"""Fields of each table in the schema's order, which is what the format stores."""

FEATURE_PROPERTIES, IMAGE_PROPERTIES = 1, 2  # Of the union ContentProperties.
NORMALIZATION_OPTIONS = 1  # Of the union ProcessUnitOptions.
RGB, GRAYSCALE = 1, 2  # ColorSpaceType.
AXIS_LABELS, VALUE_LABELS = 2, 3  # AssociatedFileType.
ACTIVATION = {"probabilities": 0, "logits": 2, "class_map": 3}
"""What MediaPipe is to do to the output: nothing, or softmax.

It takes any output for scores. Of a class map it would make masks that mean nothing, so there it is told what it does
not know, and refuses the file.
"""


FITTING = {
    "stretch": "The whole image, resized to this size.",
    "pad": "The whole image, resized with its aspect ratio and padded with black below and to the right.",
    "tile": "A part of the image, at the image's own scale.",
    "auto": "The whole image, resized to this size; of one more than twice as high or wide, a part at its own scale.",
}
"""What MediaPipe cannot do by itself and its users are told: how an image becomes an input, by the rule."""


@dataclass(frozen=True)
class Table:
    """A table of the schema. Values are bytes as int, strings, float arrays, bytes, tables, or lists of these."""

    kind: str
    fields: dict[str, Any]


def table(kind: str, **fields: Any) -> Table:
    return Table(kind, fields)


def with_metadata(
    model: bytes, head: str, precision: str, num_classes: int, classes: Classes | None, fit: Fit | None
) -> bytes:
    """A .tflite file with both notes.

    Args:
        model: the file as the converter gives it.
        head: one of `keras_segnet.catalogue.HEADS`.
        precision: of the file.
        num_classes: number of classes.
        classes: names, and colours for overlays. Without them labels.txt holds "class 0", "class 1", ...
        fit: the rule by which images become inputs, or None.
    """
    import flatbuffers

    schema: Any = litert_schema()

    class AlignedBuffer(schema.BufferT):
        """Data that start at a multiple of 16 bytes, as the format's schema asks; the generated class forgets it."""

        def Pack(self, builder: Any) -> Any:  # noqa: N802 (of the base class)
            if self.data is not None:
                builder.Prep(16, len(self.data))
            return super().Pack(builder)

    file = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    contents: dict[str, Any] = {"head": head, "classes": num_classes, "precision": precision}
    if classes is not None:
        contents |= {"names": classes.names, "colours": classes.colours, "ignored": classes.ignored}
    if fit is not None:
        contents |= fit.record()
    for name, note in ((CONTENTS, json.dumps(contents).encode()), ("TFLITE_METADATA", _model_metadata(head, fit))):
        entry, buffer = schema.MetadataT(), schema.BufferT()
        entry.name, entry.buffer = name, len(file.buffers)
        buffer.data = np.frombuffer(note, np.uint8)
        file.buffers.append(buffer)
        file.metadata = [*(file.metadata or []), entry]
    file.buffers = [AlignedBuffer(buffer.data, buffer.offset, buffer.size) for buffer in file.buffers]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(file.Pack(builder), b"TFL3")
    names = (f"class {i}" for i in range(num_classes)) if classes is None else classes.names
    return _with_file(bytes(builder.Output()), LABELS, "\n".join(names))


def _with_file(model: bytes, name: str, text: str) -> bytes:
    """The model with a zip archive of one file behind it: not compressed, for MediaPipe reads no other, and undated."""
    buffer = io.BytesIO(model)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def _model_metadata(head: str, fit: Fit | None) -> bytes:
    scores = head != "class_map"
    image = table(
        "TensorMetadata",
        name="image",
        description="RGB 0..255; colours are normalised inside." + (f" {FITTING[fit.rule]}" if fit else ""),
        content=table(
            "Content",
            content_properties_type=IMAGE_PROPERTIES,
            content_properties=table("ImageProperties", color_space=RGB),
        ),
        process_units=[
            table(
                "ProcessUnit",
                options_type=NORMALIZATION_OPTIONS,
                options=table("NormalizationOptions", mean=np.zeros(1, "<f4"), std=np.ones(1, "<f4")),
            )
        ],
        stats=table("Stats", max=np.full(1, 255, "<f4"), min=np.zeros(1, "<f4")),
    )
    labels = table(
        "AssociatedFile",
        name=LABELS,
        description="A class name a line.",
        type=AXIS_LABELS if scores else VALUE_LABELS,
    )
    if scores:
        kind, properties = IMAGE_PROPERTIES, table("ImageProperties", color_space=GRAYSCALE)
    else:
        kind, properties = FEATURE_PROPERTIES, table("FeatureProperties")
    output = table(
        "TensorMetadata",
        name=head,
        description={
            "probabilities": "Of each class at each pixel.",
            "logits": "Of each class at each pixel; softmax makes them probabilities.",
            "class_map": "The class of each pixel.",
        }[head],
        content=table("Content", content_properties_type=kind, content_properties=properties),
        associated_files=[labels],
    )
    options = serialize(table("ImageSegmenterOptions", activation=ACTIVATION[head]), b"V001")
    graph = table(
        "SubGraphMetadata",
        input_tensor_metadata=[image],
        output_tensor_metadata=[output],
        custom_metadata=[table("CustomMetadata", name="SEGMENTER_METADATA", data=options)],
    )
    return serialize(
        table(
            "ModelMetadata",
            name="segmentation",
            description="Gives each pixel of an image a class. Written by keras-segnet.",
            subgraph_metadata=[graph],
            min_parser_version="1.5.0",  # The first with custom metadata.
        ),
        b"M001",
    )


def serialize(root: Table, identifier: bytes) -> bytes:
    """A flatbuffer with `root` as its root."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(_write(builder, root), identifier)
    return bytes(builder.Output())


def _write(builder: Any, value: Any) -> int:
    """Writes what a field points to, and says where it is."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, np.ndarray):
        return builder.CreateNumpyVector(value)
    if isinstance(value, bytes):
        builder.Prep(16, len(value))
        return builder.CreateByteVector(value)
    if isinstance(value, list):
        places = [_write(builder, item) for item in value]
        builder.StartVector(4, len(places), 4)
        for place in reversed(places):
            builder.PrependUOffsetTRelative(place)
        return builder.EndVector()
    fields = FIELDS[value.kind]
    placed = {name: item if isinstance(item, int) else _write(builder, item) for name, item in value.fields.items()}
    builder.StartObject(len(fields))
    for name, item in placed.items():
        if isinstance(value.fields[name], int):
            builder.PrependInt8Slot(fields.index(name), item, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(fields.index(name), item, 0)
    return builder.EndObject()


__all__ = ["LABELS", "with_metadata"]
