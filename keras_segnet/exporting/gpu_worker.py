"""Runs one .tflite file on LiteRT's GPU backend alone, and on the CPU. A process of its own, because some files end it.

    python gpu_worker.py MODEL.tflite INPUTS.npy OUTPUTS.npz

INPUTS holds what the file's only input takes, with an axis in front for several. OUTPUTS gets `gpu`, `cpu` and
`fully_accelerated`. The framework says on standard error which device it found and which ops it does not take.
"""

import sys

import numpy as np
from ai_edge_litert.compiled_model import CompiledModel, GpuOptions, Options
from ai_edge_litert.hardware_accelerator import HardwareAccelerator
from ai_edge_litert.interpreter import Interpreter


def main(model_path: str, inputs_path: str, outputs_path: str) -> None:
    # For the GPU alone: asked for with the CPU as well, everything counts as accelerated.
    options = Options(hardware_accelerators=HardwareAccelerator.GPU, gpu_options=GpuOptions(enforce_f32=True))
    model = CompiledModel.from_file(model_path, options=options)
    interpreter = Interpreter(model_path)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    on_gpu, on_cpu = [], []
    into, out_of = model.create_input_buffers(0), model.create_output_buffers(0)
    for array in np.load(inputs_path):
        into[0].write(np.ascontiguousarray(array))
        model.run_by_index(0, into, out_of)
        flat = out_of[0].read(int(np.prod(given["shape"])), given["dtype"])
        on_gpu.append(np.array(flat).reshape(given["shape"]))
        interpreter.set_tensor(taken["index"], array)
        interpreter.invoke()
        on_cpu.append(interpreter.get_tensor(given["index"]))
    np.savez(outputs_path, gpu=on_gpu, cpu=on_cpu, fully_accelerated=model.is_fully_accelerated())


if __name__ == "__main__":
    main(*sys.argv[1:])
