"""What a model file costs where it runs: time, memory, and the ops that the time goes into."""

from keras_segnet.benchmarking.arena import arena_size
from keras_segnet.benchmarking.latency import Benchmark, benchmark
from keras_segnet.benchmarking.profile import OpTime, profile

__all__ = ["Benchmark", "OpTime", "arena_size", "benchmark", "profile"]
