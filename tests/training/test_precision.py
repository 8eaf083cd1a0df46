"""What `precision="auto"` means on devices that are made up."""

import sys
from types import SimpleNamespace

import keras
import pytest

from keras_segnet.training import precision

FLAGS = "processor\t: 0\nvendor_id\t: Somebody\nflags\t\t: fpu sse2 {}\nbogomips\t: 1\n\nprocessor\t: 1\n"


def use_tensorflow(monkeypatch, capabilities):
    import tensorflow as tf

    gpus = [SimpleNamespace(name=f"GPU:{i}") for i in range(len(capabilities))]
    details = dict(zip((gpu.name for gpu in gpus), capabilities, strict=True))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus if kind == "GPU" else ["CPU:0"])

    def tell(gpu):
        capability = details[gpu.name]
        return {"device_name": "a GPU", **({} if capability is None else {"compute_capability": capability})}

    monkeypatch.setattr(tf.config.experimental, "get_device_details", tell)


def use_jax(monkeypatch, capabilities):
    devices = [
        SimpleNamespace(platform="gpu", **({} if c is None else {"compute_capability": f"{c[0]}.{c[1]}"}))
        for c in capabilities
    ]
    jax = SimpleNamespace(
        local_devices=lambda: devices or [SimpleNamespace(platform="cpu")],
        default_backend=lambda: "gpu" if devices else "cpu",
    )
    monkeypatch.setitem(sys.modules, "jax", jax)


def use_torch(monkeypatch, capabilities):
    cuda = SimpleNamespace(
        is_available=lambda: bool(capabilities),
        device_count=lambda: len(capabilities),
        get_device_capability=lambda i: capabilities[i] or (9, 4),
    )
    hip = "6.0" if None in capabilities else None
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, version=SimpleNamespace(hip=hip)))


BACKENDS = {"tensorflow": use_tensorflow, "jax": use_jax, "torch": use_torch}


@pytest.fixture(params=BACKENDS)
def device(request, monkeypatch, tmp_path):
    """Makes up a device for each backend: flags of its CPU, or None where they are not listed, and its GPUs."""

    def make(flags, capabilities=()):
        path = tmp_path / "cpuinfo"
        if flags is not None:
            path.write_text(FLAGS.format(flags))
        monkeypatch.setattr(precision, "CPU_INFO", path)
        monkeypatch.setattr(keras.backend, "backend", lambda: request.param)
        BACKENDS[request.param](monkeypatch, list(capabilities))
        return request.param

    return make


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(7, 5)], "float32"),
        ([(8, 0)], "mixed_bfloat16"),
        ([(8, 9)], "mixed_bfloat16"),
        ([(12, 0)], "mixed_bfloat16"),
        ([(9, 0), (7, 0)], "float32"),
        ([None], "float32"),
    ],
)
def test_gpus_from_ampere_on_compute_in_bfloat16(device, capabilities, expected):
    device("amx_tile amx_bf16" if expected == "float32" else "", capabilities)
    chosen, reason = precision.choose_precision()
    assert chosen == expected
    assert "GPU" in reason
    assert "\n" not in reason


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("amx_tile amx_bf16 amx_int8", "mixed_bfloat16"),
        ("amx_tile amx_int8", "float32"),
        ("avx512f avx512_bf16", "float32"),
        ("not_amx_bf16", "float32"),
        (None, "float32"),
    ],
)
def test_cpus_with_amx_compute_in_bfloat16(device, flags, expected):
    backend = device(flags)
    chosen, reason = precision.choose_precision()
    assert chosen == ("float32" if backend == "jax" else expected)
    assert "CPU" in reason


def test_tpus_compute_in_bfloat16(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    tpu = SimpleNamespace(local_devices=lambda: [SimpleNamespace(platform="tpu")], default_backend=lambda: "tpu")
    monkeypatch.setitem(sys.modules, "jax", tpu)
    assert precision.choose_precision()[0] == "mixed_bfloat16"


def test_the_device_that_the_tests_run_on():
    chosen, reason = precision.choose_precision()
    assert chosen in ("float32", "mixed_bfloat16")
    assert reason
