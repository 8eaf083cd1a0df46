"""Which precision `precision="auto"` means on the device that trains."""

from __future__ import annotations

from pathlib import Path

import keras

CPU_INFO = Path("/proc/cpuinfo")
"""Where Linux lists the features of the processor that programs may use."""

AMPERE = (8, 0)
"""Compute capability of the first Nvidia GPUs whose matrix units take bfloat16."""

Capability = tuple[int, int] | None
"""Compute capability of a GPU; None for GPUs of other makers, which have none."""


def choose_precision() -> tuple[str, str]:
    """The faster precision on the device that Keras's backend computes on, and why.

    bfloat16 pays where matrix units multiply it: in Nvidia GPUs from Ampere on, TPUs, and CPUs with AMX. Elsewhere it
    saves memory at best, so float32 is chosen: on CPUs that only have AVX-512 instructions for bfloat16 too. JAX
    computes bfloat16 in float32 on every CPU.

    Returns:
        `(precision, reason)`: "mixed_bfloat16" or "float32", and a clause that says why.
    """
    backend = keras.backend.backend()
    gpus = _GPUS[backend]()
    if gpus:
        known = [gpu for gpu in gpus if gpu is not None]
        if len(known) < len(gpus):
            return "float32", "the GPU does not tell of matrix units for bfloat16"
        which = "compute capability {}.{}".format(*min(known))
        if min(known) < AMPERE:
            return "float32", f"the GPU has no matrix units for bfloat16 ({which})"
        return "mixed_bfloat16", f"the GPU has matrix units for bfloat16 ({which})"
    if backend == "jax":
        if _jax_platform() == "tpu":
            return "mixed_bfloat16", "the TPU has matrix units for bfloat16"
        return "float32", "JAX computes bfloat16 in float32 on a CPU"
    if "amx_bf16" in _cpu_flags():
        return "mixed_bfloat16", "the CPU has matrix units for bfloat16 (AMX)"
    return "float32", "the CPU has no matrix units for bfloat16 (AMX)"


def _cpu_flags() -> set[str]:
    """Features of the first core, or none where the operating system does not list them so."""
    if not CPU_INFO.is_file():
        return set()
    lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())


def _tensorflow_gpus() -> list[Capability]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("compute_capability") for gpu in gpus]


def _jax_gpus() -> list[Capability]:
    import jax

    found: list[Capability] = []
    for device in jax.local_devices():
        if device.platform == "gpu":
            major, point, minor = str(getattr(device, "compute_capability", "")).partition(".")
            found.append((int(major), int(minor)) if point else None)
    return found


def _jax_platform() -> str:
    import jax

    return str(jax.default_backend())


def _torch_gpus() -> list[Capability]:
    import torch

    if not torch.cuda.is_available():
        return []
    if torch.version.hip is not None:  # AMD's count otherwise.
        return [None]
    return [torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())]


_GPUS = {"tensorflow": _tensorflow_gpus, "jax": _jax_gpus, "torch": _torch_gpus}


__all__ = ["choose_precision"]
