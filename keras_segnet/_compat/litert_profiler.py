"""Times each op of one .tflite file on the CPU. A process of its own, because a wrong call into C would end it.

    python litert_profiler.py MODEL.tflite IMAGE.npy RUNS THREADS

IMAGE holds what the file's only input takes. The last line on standard output is JSON: for each run a list of pairs of
an op's name and its microseconds. LiteRT has this in its C interface only (libLiteRt.so of ai-edge-litert 2.3,
litert/c/litert_profiler.h), not in Python's.
"""

import ctypes
import json
import sys
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np

CPU = 1
LOCK_FOR_WRITING = 1
OP_OF_THE_FILE, OP_OF_A_DELEGATE = 2, 8
SIZE_OF_TENSOR_TYPE = 72
SETTINGS = {b"runtime_options_string": "enable_profiling = true\n", b"xnnpack": "num_threads = {threads}\n"}

(path_of_library,) = Path(ai_edge_litert.__file__).parent.glob("libLiteRt.*")  # .so, .dylib or .dll
library = ctypes.CDLL(str(path_of_library))
leave = ctypes.CFUNCTYPE(None, c_void_p)(lambda _: None)  # Of what LiteRT would free and Python does.
kept: list[Any] = []


class Event(ctypes.Structure):
    """ProfiledEventData of litert/c/litert_profiler_event.h."""

    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int),
        ("start", c_uint64),
        ("microseconds", c_uint64),
        ("memory", c_size_t * 6),
        ("metadata", c_uint64 * 2),
        ("source", c_int),
    )


def call(name: str, *arguments: Any) -> None:
    status = getattr(library, name)(*arguments)
    if status != 0:
        raise RuntimeError(f"{name} gave status {status}")


def make(name: str, *arguments: Any) -> c_void_p:
    """Calls a function whose last argument is where it puts what it makes."""
    made = c_void_p()
    call(name, *arguments, byref(made))
    return made


def compile_model(path: str, threads: int) -> tuple[c_void_p, c_void_p, c_void_p]:
    """The environment, the model, and what runs it on the CPU and takes times."""
    environment = make("LiteRtCreateEnvironment", c_int(0), None)
    model = make("LiteRtCreateModelFromFile", environment, path.encode())
    options = make("LiteRtCreateOptions")
    call("LiteRtSetOptionsHardwareAccelerators", options, c_int(CPU))
    for name, setting in SETTINGS.items():
        text = ctypes.create_string_buffer(setting.format(threads=threads).encode())
        kept.append(text)
        opaque = make("LiteRtCreateOpaqueOptions", name, ctypes.cast(text, c_void_p), leave)
        call("LiteRtAddOpaqueOptions", options, opaque)
    return environment, model, make("LiteRtCreateCompiledModel", environment, model, options)


def main(path: str, image_path: str, runs: int, threads: int) -> None:
    environment, model, compiled = compile_model(path, threads)
    signature = make("LiteRtGetModelSignature", model, c_size_t(0))

    def buffer(side: str) -> c_void_p:
        tensor = make(f"LiteRtGetSignature{side}TensorByIndex", signature, c_size_t(0))
        kind = ctypes.create_string_buffer(SIZE_OF_TENSOR_TYPE)
        call("LiteRtGetRankedTensorType", tensor, kind)
        needed = make(f"LiteRtGetCompiledModel{side}BufferRequirements", compiled, c_size_t(0), c_size_t(0))
        return make("LiteRtCreateManagedTensorBufferFromRequirements", environment, kind, needed)

    taken, given = buffer("Input"), buffer("Output")
    image = np.ascontiguousarray(np.load(image_path))
    memory = c_void_p()
    call("LiteRtLockTensorBuffer", taken, byref(memory), c_int(LOCK_FOR_WRITING))
    ctypes.memmove(memory, image.ctypes.data, image.nbytes)
    call("LiteRtUnlockTensorBuffer", taken)

    profiler = make("LiteRtCompiledModelGetProfiler", compiled)
    times = []
    for _ in range(runs + 1):
        call("LiteRtStartProfiler", profiler)
        call("LiteRtRunCompiledModel", compiled, c_size_t(0), c_size_t(1), byref(taken), c_size_t(1), byref(given))
        count = c_int()
        call("LiteRtGetNumProfilerEvents", profiler, byref(count))
        events = (Event * count.value)()
        call("LiteRtGetProfilerEvents", profiler, count, events)
        times.append(
            [
                (event.tag.decode(), event.microseconds)
                for event in events
                if event.kind in (OP_OF_THE_FILE, OP_OF_A_DELEGATE)
            ]
        )
        call("LiteRtStopProfiler", profiler)
    print(json.dumps(times[1:]))  # The first run was to warm up.


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
