"""Products of float32 matrices on register tiles: see `dot_tiles`.

They do as many multiplications a second as the registers allow. OpenBLAS, which NumPy calls, is 5 to 25 % slower on the
shapes of an encoder; it is made for any shape, and for float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from .dot_tiles import OUT, VECTOR, WEIGHT, fingerprint, multiplier
from .jit import kernel
from .tile import score_tiles, vector_lanes

__all__ = ["float32_block"]

FloatArray = NDArray[np.float32]

_multiply = multiplier("float32", score_tiles)


def _compile(tile_source: str) -> Any:
    """Make the kernel. That it names `tile_source` puts it into the key of Numba's disk cache."""

    @kernel(types.void(types.int64, types.int64, types.int64, types.int64, VECTOR, WEIGHT, OUT), error_model="numpy")
    def float32_block(
        start: int, stop: int, first: int, last: int, x: FloatArray, weight: FloatArray, out: FloatArray
    ) -> None:
        """out[i, j] = sum_k x[i, k] weight[j, k] for i in [start, stop) and j in [first, last).

        x: float32 (n * depth,); weight: float32 (m, depth), the numbers of a row side by side; out: float32 (n * m,).
        """
        _multiply((start, stop, first, last), x, weight, vector_lanes(tile_source), out)

    return float32_block


float32_block = _compile(fingerprint())
