"""The command line, with the tiny networks of the tests among its networks."""

import sys

import tiny_network

from keras_segnet.cli.main import run

if __name__ == "__main__":
    tiny_network.register()
    sys.exit(run(sys.argv[1:]))
