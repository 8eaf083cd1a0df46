"""The command line, `keras-segnet`.

Its modules import what they need inside functions, so that `--help` answers before Keras is loaded.
"""

from keras_segnet.cli.main import main

__all__ = ["main"]
