"""Runs one .tflite file once, on zeros. A process of its own, because a damaged file can end it.

    python tflite_trial.py MODEL.tflite

LiteRT's interpreter trusts what a file says of tensors and offsets; where that is wrong it ends the whole process.
"""

import os
import resource
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main(path: str) -> None:
    # A damaged shape may ask for any amount of memory. More than the machine has is refused instead of tried.
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    interpreter = Interpreter(path, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    for taken in interpreter.get_input_details():
        interpreter.set_tensor(taken["index"], np.zeros(taken["shape"], taken["dtype"]))
    interpreter.invoke()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as error:
        sys.exit(" ".join(str(error).split()) or type(error).__name__)
