"""Runs an exported file with one runtime: LiteRT, onnxruntime or OpenVINO."""

import os

import numpy as np
from timing import answer, clock, task

THREADS = os.cpu_count()


def litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=THREADS)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()

    def infer(image):
        interpreter.set_tensor(taken["index"], image.astype(taken["dtype"]))
        interpreter.invoke()
        return interpreter.get_tensor(given["index"])

    return infer


def onnxruntime(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image.astype(np.float32)})[0]


def openvino(path, inference_precision=None):
    import openvino

    options = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY"}
    if inference_precision is not None:
        options["INFERENCE_PRECISION_HINT"] = inference_precision
    request = openvino.compile_model(path, "CPU", options).create_infer_request()
    (taken,) = request.model_inputs
    dtype = taken.get_element_type().to_dtype()
    return lambda image: request.infer([image.astype(dtype)])[0]


def run(runtime, path, images, labels, repeats, **options):
    infer = {"litert": litert, "onnxruntime": onnxruntime, "openvino": openvino}[runtime](path, **options)
    images, labels = np.load(images), np.load(labels)
    equal = [float((infer(image[None])[0] == label).mean()) for image, label in zip(images, labels, strict=True)]
    answer(latency=clock(lambda: infer(images[:1]), repeats), agreement=[100 * float(np.mean(equal))])


run(**task())
