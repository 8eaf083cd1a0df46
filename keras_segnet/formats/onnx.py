"""ONNX, for TensorRT and others."""

from keras_segnet.formats.registry import HEAD, INPUT_SIZE, Option, export_format

export_format(
    "onnx",
    suffix=".onnx",
    writer="keras_segnet.exporting.onnx:to_onnx",
    opener="keras_segnet.exporting.onnx_file:OnnxFile",
    options=(INPUT_SIZE, HEAD, Option("dynamic_batch", bool, "Accept any number of images at once.")),
)
