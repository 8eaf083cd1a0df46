"""A page for browsers, of two .tflite files."""

from keras_segnet.formats.registry import INPUT_SIZE, export_format

export_format("web", suffix="", writer="keras_segnet.exporting.web:to_web", options=(INPUT_SIZE,))
