"""`python -m keras_segnet` is the command line."""

from keras_segnet.cli.main import main

main()
