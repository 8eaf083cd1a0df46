"""Drawn streets: the same everywhere, different from each other, and right at any size."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_segnet.streets import draw_street_scene

VOID = 11


def digest(seed, size):
    image, label = draw_street_scene(seed, size)
    return hashlib.sha256(image.tobytes() + label.tobytes()).hexdigest()


def assert_well_formed(image, label, size):
    assert image.shape == (*size, 3)
    assert label.shape == size
    assert image.dtype == label.dtype == np.uint8
    assert label.max() <= VOID


def test_same_seed_and_size_give_the_same_bits():
    assert digest(5, (60, 80)) == digest(5, (60, 80))


def test_another_process_draws_the_same_bits():
    code = """
from hashlib import sha256
from keras_segnet.streets import draw_street_scene
image, label = draw_street_scene(5, (60, 80))
print(sha256(image.tobytes() + label.tobytes()).hexdigest())
"""
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.strip() == digest(5, (60, 80))


def test_different_seeds_give_different_streets():
    assert len({digest(seed, (60, 80)) for seed in range(20)}) == 20


def test_size_defaults_to_360_by_480():
    assert_well_formed(*draw_street_scene(0), (360, 480))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(8, 70), st.integers(8, 70))
def test_any_size_is_drawn(seed, height, width):
    assert_well_formed(*draw_street_scene(seed, (height, width)), (height, width))


def test_every_class_occurs():
    seen = set()
    for seed in range(60):
        seen.update(np.unique(draw_street_scene(seed, (90, 120))[1]).tolist())
    assert seen >= set(range(VOID))


def test_labels_agree_between_resolutions():
    agreement = []
    for seed in range(10):
        fine = draw_street_scene(seed, (180, 240))[1]
        coarse = draw_street_scene(seed, (90, 120))[1]
        agreement.append(np.mean(fine[::2, ::2] == coarse))
    assert np.mean(agreement) >= 0.9


@pytest.mark.parametrize("size", [(7, 80), (60, 7), (60,), (60, 80, 3), (60.0, 80.0), (-60, 80), "60", 60, None])
def test_bad_sizes_are_refused_by_name(size):
    with pytest.raises(ValueError, match="size must"):
        draw_street_scene(0, size)
