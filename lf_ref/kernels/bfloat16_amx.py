"""Products of bfloat16 matrices on AMX: see `amx`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from .amx import bfloat16_matrices, configure, fingerprint, multiplier, release
from .dot_tiles import OUT, VECTOR, WEIGHT
from .jit import kernel

__all__ = ["bfloat16_block"]

FloatArray = NDArray[np.float32]

_multiply = multiplier("bfloat16", bfloat16_matrices)


def _compile(tile_source: str) -> Any:
    """As in `float32_tiles`."""

    @kernel(types.void(types.int64, types.int64, types.int64, types.int64, VECTOR, WEIGHT, OUT), error_model="numpy")
    def bfloat16_block(
        start: int, stop: int, first: int, last: int, x: FloatArray, weight: FloatArray, out: FloatArray
    ) -> None:
        """As that of `bfloat16_tiles`; x is filled up as `amx` wants it, and start a multiple of its ROWS."""
        configure(tile_source)
        _multiply((start, stop, first, last), x, weight, out)
        release()

    return bfloat16_block


bfloat16_block = _compile(fingerprint())
