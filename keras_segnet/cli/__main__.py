"""`python -m keras_segnet.cli` is the command line."""

from keras_segnet.cli.main import main

main()
