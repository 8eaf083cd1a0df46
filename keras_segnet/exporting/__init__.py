"""From a Keras model to files for other runtimes, each proven against the model before it is handed over."""

from keras_segnet.exporting.check import check_parity
from keras_segnet.exporting.export import Exported, export
from keras_segnet.exporting.gpu import GpuReport, check_gpu
from keras_segnet.exporting.onnx import to_onnx
from keras_segnet.exporting.parity import ParityError, ParityReport
from keras_segnet.exporting.saved_model import to_saved_model
from keras_segnet.exporting.tflite import to_tflite
from keras_segnet.exporting.web import to_web
from keras_segnet.formats import FORMATS

__all__ = [
    "FORMATS",
    "Exported",
    "GpuReport",
    "ParityError",
    "ParityReport",
    "check_gpu",
    "check_parity",
    "export",
    "to_onnx",
    "to_saved_model",
    "to_tflite",
    "to_web",
]
