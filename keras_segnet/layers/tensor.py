"""What the layers' signatures call a tensor and a size."""

from __future__ import annotations

from typing import Any

Tensor = Any
"""A tensor of whichever backend Keras has. No type names them all."""

Size = Any
"""Number of elements along an axis: an int, or a scalar integer tensor where TensorFlow knows it only at run time."""

__all__ = ["Size", "Tensor"]
