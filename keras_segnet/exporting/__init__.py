"""From a Keras model to files for other runtimes, each proven against the model before it is handed over."""

from keras_segnet.exporting.parity import ParityError, ParityReport
from keras_segnet.exporting.saved_model import to_saved_model
from keras_segnet.exporting.tflite import to_tflite

__all__ = ["ParityError", "ParityReport", "to_saved_model", "to_tflite"]
