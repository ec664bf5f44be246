"""Products of bfloat16 matrices on register tiles, by the instruction made for them: see `dot_tiles`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from .dot_tiles import OUT, VECTOR, WEIGHT, fingerprint, multiplier
from .jit import kernel
from .short_tiles import bfloat16_tiles
from .tile import vector_lanes

__all__ = ["bfloat16_block"]

FloatArray = NDArray[np.float32]

_multiply = multiplier("bfloat16", bfloat16_tiles)


def _compile(tile_source: str) -> Any:
    """As in `float32_tiles`."""

    @kernel(types.void(types.int64, types.int64, types.int64, types.int64, VECTOR, WEIGHT, OUT), error_model="numpy")
    def bfloat16_block(
        start: int, stop: int, first: int, last: int, x: FloatArray, weight: FloatArray, out: FloatArray
    ) -> None:
        """As `float32_block`, where every float of x and weight is a pair of bfloat16 numbers; out holds floats."""
        _multiply((start, stop, first, last), x, weight, vector_lanes(tile_source), out)

    return bfloat16_block


bfloat16_block = _compile(fingerprint())
