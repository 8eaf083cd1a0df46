"""MediaPipe's ImageSegmenter opens exported files and gives the model's labels. `make test-clients` runs this."""

import re
from pathlib import Path

import cv2
import mediapipe
import numpy as np
import pytest
from mediapipe.tasks.metadata import image_segmenter_metadata_schema_py_generated as segmenter_schema
from mediapipe.tasks.metadata import metadata_schema_py_generated as schema
from mediapipe.tasks.metadata import schema_py_generated as model_schema
from mediapipe.tasks.python import BaseOptions, vision

FILES = Path(__file__).parents[2] / "build" / "clients"
README = Path(__file__).parents[2] / "export" / "README.md"
NAMES = ["sky", "rue étroite", "car", "tree"]
LEAST_AGREEMENT = {"float32": 0.999, "logits": 0.999, "float16": 0.98, "uint8": 0.999}
LARGEST_DIFFERENCE = {"float32": 1e-4, "logits": 1e-4, "float16": 0.1, "uint8": 0.01}


def open_file(name):
    base = BaseOptions(model_asset_path=str(FILES / f"{name}.tflite"), delegate=BaseOptions.Delegate.CPU)
    return vision.ImageSegmenter.create_from_options(
        vision.ImageSegmenterOptions(base_options=base, output_category_mask=True, output_confidence_masks=True)
    )


def segment(segmenter, image):
    """Category mask, and confidence masks with the class last."""
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
    result = segmenter.segment(image)
    confidence = [mask.numpy_view()[..., 0] for mask in result.confidence_masks]
    return result.category_mask.numpy_view()[..., 0].copy(), np.stack(confidence, axis=-1)


@pytest.fixture(scope="module")
def expected():
    return np.load(FILES / "expected.npz")


@pytest.mark.parametrize("name", LEAST_AGREEMENT)
def test_masks_are_the_models(name, expected):
    probabilities = expected[f"{name}_probabilities"]
    assert len(np.unique(probabilities.argmax(axis=-1))) > 1
    with open_file(name) as segmenter:
        assert segmenter.labels == NAMES
        found = [segment(segmenter, image) for image in expected["images"]]
    category, confidence = (np.stack(masks) for masks in zip(*found, strict=True))
    assert (category == probabilities.argmax(axis=-1)).mean() >= LEAST_AGREEMENT[name]
    assert np.abs(confidence - probabilities).max() < LARGEST_DIFFERENCE[name]


def test_an_image_of_another_size(expected):
    with open_file("float32") as segmenter:
        category, confidence = segment(segmenter, expected["large"])
    assert category.shape == expected["large"].shape[:2] == confidence.shape[:2]
    assert (category == expected["large_label"]).mean() > 0.99


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [("int8", ValueError, "uint8/float32, got INT8"), ("class_map", RuntimeError, "Invalid activation type")],
)
def test_what_it_cannot_use_is_refused_rather_than_made_nonsense_of(name, error, message):
    with pytest.raises(error, match=message):
        open_file(name)


@pytest.mark.parametrize(("name", "activation", "labels"), [("float32", 0, 2), ("logits", 2, 2), ("class_map", 3, 3)])
def test_the_metadata_reads_back_by_the_published_schema(name, activation, labels):
    content = (FILES / f"{name}.tflite").read_bytes()
    model = model_schema.Model.GetRootAs(content)
    (note,) = [
        model.Metadata(i) for i in range(model.MetadataLength()) if model.Metadata(i).Name() == b"TFLITE_METADATA"
    ]
    buffer = model.Buffers(note.Buffer()).DataAsNumpy().tobytes()
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(buffer, 0)
    metadata = schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAs(buffer))
    assert metadata.minParserVersion == b"1.5.0"
    (graph,) = metadata.subgraphMetadata
    (image,), (output,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    assert image.name == b"image" and image.content.contentProperties.colorSpace == schema.ColorSpaceType.RGB
    (unit,) = image.processUnits
    assert unit.options.mean.tolist() == [0] and unit.options.std.tolist() == [1]
    assert image.stats.min.tolist() == [0] and image.stats.max.tolist() == [255]
    (file,) = output.associatedFiles
    assert file.name == b"labels.txt" and file.type == labels
    (custom,) = graph.customMetadata
    assert custom.name == b"SEGMENTER_METADATA"
    options = segmenter_schema.ImageSegmenterOptions
    data = bytes(bytearray(custom.data))
    assert options.ImageSegmenterOptionsBufferHasIdentifier(data, 0)
    assert options.GetRootAs(data).Activation() == activation


def test_the_program_in_the_readme(expected, tmp_path, monkeypatch):
    (program,) = [code for code in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "mediapipe" in code]
    (tmp_path / "segnet.tflite").write_bytes((FILES / "float32.tflite").read_bytes())
    cv2.imwrite(str(tmp_path / "street.png"), cv2.cvtColor(expected["images"][0], cv2.COLOR_RGB2BGR))
    monkeypatch.chdir(tmp_path)
    variables = {}
    exec(program, variables)
    np.testing.assert_array_equal(variables["label"], expected["float32_probabilities"][0].argmax(axis=-1))
    assert variables["names"] == NAMES
