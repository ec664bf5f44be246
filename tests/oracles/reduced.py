"""Reduced precision spelled out: bfloat16 through its digits, int8 in Python's integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def bfloat16(x: Any) -> Array:
    """The nearest values of 8 significand bits and an exponent of at least -126, ties to even, as float64."""
    x = np.asarray(x, np.float64)
    _, exponent = np.frexp(x)  # x = m 2**exponent with 0.5 <= |m| < 1
    unit = np.ldexp(1.0, np.maximum(exponent - 8, -126 - 7))
    with np.errstate(invalid="ignore"):
        rounded = np.rint(x / unit) * unit
    rounded = np.where(np.isfinite(x), rounded, x)
    return np.where(np.abs(rounded) >= 2.0**128, np.copysign(np.inf, rounded), rounded)


def bfloat16_product(x: Any, weight: Any) -> Array:
    """x W^T of both rounded, added up in float64."""
    return bfloat16(x) @ bfloat16(weight).T


def int8_row(row: Any) -> tuple[list[int], np.float32]:
    """The integers, -127 ... 127, and the scale that one finite row of float32 becomes."""
    row = np.asarray(row, np.float32)
    largest = max((abs(value) for value in row), default=np.float32(0))
    scale = max(np.float32(largest / np.float32(127)), np.finfo(np.float32).tiny)
    return [round(float(value) / float(scale)) for value in row], scale


def whole_product(x: Any, weight: Any) -> Array:
    """x W^T of integers, exactly."""
    return np.asarray(x).astype(np.int64) @ np.asarray(weight).astype(np.int64).T
