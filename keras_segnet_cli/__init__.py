"""The command line, `keras-segnet`.

A package beside `keras_segnet` and not in it, because importing anything of `keras_segnet` imports Keras, whose layers
it registers, and `--help` should answer at once. Each command imports what it needs when it runs.
"""

from keras_segnet_cli.main import main

__all__ = ["main"]
