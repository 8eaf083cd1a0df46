"""What all tests share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # Before anything imports TensorFlow.

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("calm", deadline=None, print_blob=True)
settings.load_profile("calm")

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared"


@pytest.fixture(scope="session")
def camvid_folder():
    """The copy of CamVid beside the repository."""
    folder = SHARED / "camvid"
    if not folder.is_dir():
        pytest.skip("there is no CamVid in ../shared/camvid")
    return folder


@pytest.fixture(scope="session")
def vgg16_file():
    """VGG16's convolutions, trained on ImageNet, beside the repository."""
    path = SHARED / "weights" / "vgg16_imagenet_fp16.npz"
    if not path.is_file():
        pytest.skip("there are no VGG16 weights in ../shared/weights/vgg16_imagenet_fp16.npz")
    return path


@pytest.fixture(scope="session")
def software_gpu():
    """Folder of a GPU made of software, on which LiteRT's own backend runs."""
    folder = Path(os.environ.get("SOFTWARE_GPU", Path.home() / ".cache" / "keras-segnet" / "software-gpu"))
    if not (folder / "vk_swiftshader_icd.json").is_file():
        reason = f"there is no software GPU in {folder}; make software-gpu fetches it"
        if os.environ.get("REQUIRE_GPU"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture
def mixed_precision():
    """Layers made in the test compute in float16."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)
