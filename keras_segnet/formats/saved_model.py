"""A TensorFlow SavedModel."""

from keras_segnet.formats.registry import export_format

export_format(
    "saved_model",
    suffix="",
    writer="keras_segnet.exporting.saved_model:to_saved_model",
    opener="keras_segnet.exporting.saved_model:SavedModelFile",
)
