"""Rounding tokens in lanes to bfloat16 or to 8-bit integers, as the right side of a matrix product."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ..jit import kernel, once, plain, types
from ..layout.vectors import LANES, larger, load, magnitude, nearest, pair, spread, store

__all__ = ["bfloat16_kernel", "int8_kernel", "round_to_bfloat16", "round_to_int8"]

_FLOATS = types.Array(types.float32, 1, "C", readonly=True)
_OUT = types.Array(types.float32, 1, "C")
_WORDS = types.Array(types.int32, 1, "C")
_SIZES = types.UniTuple(types.int64, 3)

_ZERO, _ONE, _LARGEST = np.float32(0.0), np.float32(1.0), np.float32(127.0)
_TINY = np.finfo(np.float32).tiny
_OFFSET = np.int32(128)


@once
def bfloat16_kernel() -> Any:
    """The kernel for bfloat16."""
    return kernel(types.void(_FLOATS, _SIZES, _WORDS), error_model="numpy")(plain(round_to_bfloat16))


@numba.njit(nogil=True, error_model="numpy")
def round_to_bfloat16(x: Any, sizes: tuple[int, int, int], out: Any) -> None:
    """Channels 2i and 2i + 1 become word i, rounded to nearest, ties to even; words beyond them are 0.

    x: [panels, channels, 16]; out: [panels, words, 16]; both flat. sizes: panels, channels, words.
    """
    panels, channels, words = sizes
    for panel in range(panels):
        source, target = panel * channels * LANES, panel * words * LANES
        for word in range(words):
            low, high = spread(_ZERO), spread(_ZERO)
            if 2 * word < channels:
                low = load(x, source + 2 * word * LANES)
            if 2 * word + 1 < channels:
                high = load(x, source + (2 * word + 1) * LANES)
            store(pair(low, high), out, target + word * LANES)


@once
def int8_kernel() -> Any:
    """The kernel for int8."""
    return kernel(types.void(_FLOATS, _SIZES, _WORDS, _OUT), error_model="numpy")(plain(round_to_int8))


@numba.njit(nogil=True, error_model="numpy")
def round_to_int8(x: Any, sizes: tuple[int, int, int], out: Any, scales: Any) -> None:
    """Each byte less 128 is x / scale to nearest, scale being the token's largest magnitude / 127.

    The scale of a token with an infinity or NaN is NaN. Channels 4i to 4i + 3 become the bytes of word i.
    x: [panels, channels, 16]; out: [panels, words, 16]; scales: [panels, 16]; all flat. sizes: as above.
    """
    panels, channels, words = sizes
    for panel in range(panels):
        source, target = panel * channels * LANES, panel * words * LANES
        top, finite = spread(_ZERO), spread(_ZERO)
        for channel in range(channels):
            value = load(x, source + channel * LANES)
            top = larger(magnitude(value), top)
            finite = finite + (value - value)  # NaN for what is not finite
        scale = larger(top / spread(_LARGEST), spread(_TINY)) + finite
        store(scale, scales, panel * LANES)
        factor = spread(_ONE) / scale
        for word in range(words):
            packed = spread(np.int32(0))
            for byte in range(4):
                whole = spread(_OFFSET)
                if 4 * word + byte < channels:
                    whole = whole + nearest(load(x, source + (4 * word + byte) * LANES) * factor)
                packed = packed | (whole << spread(np.int32(8 * byte)))
            store(packed, out, target + word * LANES)
