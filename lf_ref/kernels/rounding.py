"""Rounding the rows of a float32 matrix to bfloat16 or to 8-bit integers, as the left side of a reduced product.

Kernels take `start, stop` first, as in `rowwise`, and C-contiguous arrays.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from .jit import kernel

__all__ = ["round_to_bfloat16", "round_to_int8"]

# Constants have names, since Numba takes a literal for 64 bits and would widen all arithmetic.
_HALF, _ONE, _SIXTEEN = np.uint32(0x7FFF), np.uint32(1), np.uint32(16)
_SIGN_OFF, _INFINITY, _QUIET = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000), np.uint32(0x400000)
_SIGN_OFF_32, _INFINITY_32 = np.int32(0x7FFFFFFF), np.int32(0x7F800000)
_ROUNDER = np.float32(1.5 * 2**23)  # see `rowwise`
_ROUNDER_BITS, _OFFSET = np.int32(np.float32(1.5 * 2**23).view(np.int32)), np.int32(128)
_UNIT, _LARGEST, _TINY, _NAN = np.float32(1.0), np.float32(127.0), np.finfo(np.float32).tiny, np.float32(np.nan)

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


@kernel(error_model="numpy")
def round_to_bfloat16(start: int, stop: int, x: NDArray[np.float32], out: NDArray[np.uint16]) -> None:
    """out = the upper 16 bits of x, rounded to nearest, ties to even; NaN stays NaN.  # [n, m] -> [n, at least m]"""
    for row in range(start, stop):
        bits = x[row].view(np.uint32)
        for column in range(bits.shape[0]):
            b = bits[column]
            rounded = np.uint32(b + _HALF + np.uint32(np.uint32(b >> _SIXTEEN) & _ONE))
            kept = rounded if np.uint32(b & _SIGN_OFF) <= _INFINITY else np.uint32(b | _QUIET)
            out[row, column] = np.uint16(kept >> _SIXTEEN)


@numba.njit(**_OPTIONS)
def _largest_magnitude(bits: NDArray[np.int32]) -> Any:
    """The bits of the largest magnitude of floats given by their bits: without the sign, these are in its order."""
    top = np.int32(0)
    for column in range(bits.shape[0]):
        top = max(top, np.int32(bits[column] & _SIGN_OFF_32))
    return top


@kernel(error_model="numpy")
def round_to_int8(
    start: int, stop: int, x: NDArray[np.float32], out: NDArray[np.uint8], scales: NDArray[np.float32]
) -> None:
    """out - 128 = x / scale rounded to nearest, scale = the row's largest magnitude / 127; scales[row] = scale.

    The scale of a row with an infinity or NaN is NaN.  # [n, m] -> [n, at least m], [n]
    """
    for row in range(start, stop):
        top = np.int32(_largest_magnitude(x[row].view(np.int32)))
        finite = top < _INFINITY_32
        scales[row] = max(top.view(np.float32) / _LARGEST, _TINY) if finite else _NAN
        factor = _UNIT / scales[row] if finite else np.float32(0.0)
        for column in range(x.shape[1]):
            nearest = np.float32(x[row, column] * factor + _ROUNDER).view(np.int32)
            out[row, column] = np.uint8(np.int32(nearest - _ROUNDER_BITS) + _OFFSET) if finite else np.uint8(_OFFSET)
