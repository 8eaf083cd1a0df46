"""LiteRT, for phones and boards."""

from keras_segnet.catalogue import INTERFACES, PRECISIONS
from keras_segnet.formats.registry import HEAD, INPUT_SIZE, Option, export_format

export_format(
    "tflite",
    suffix=".tflite",
    writer="keras_segnet.exporting.tflite:to_tflite",
    opener="keras_segnet.exporting.tflite_file:open_tflite_file",
    options=(
        INPUT_SIZE,
        HEAD,
        Option("precision", str, "Compute in float32 (default), float16, int8 or int16x8.", PRECISIONS),
        Option(
            "keep_float",
            list[str],
            "Keep this layer in float32, with int8 and int16x8; repeat the option for more layers.",
        ),
        Option(
            "interface", str, "Accept and return float32 (default), int8 or uint8, with precision int8.", INTERFACES
        ),
    ),
)
