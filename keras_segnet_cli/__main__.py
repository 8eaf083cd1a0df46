"""`python -m keras_segnet_cli` is the command line."""

from keras_segnet_cli.main import main

main()
