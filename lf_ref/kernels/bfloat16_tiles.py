"""Products of bfloat16 matrices on register tiles, by the instruction made for them: see `dot_tiles`.

Letters: n rows of the left side, m of the weight, depth words in a row.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from .dot_tiles import OPTIONS, OUT, WEIGHT, WIDE, WORDS, fingerprint, pack
from .jit import kernel
from .tile import ROWS, SCORE_ROW, bfloat16_tiles, vector_lanes

__all__ = ["bfloat16_block"]

FloatArray = NDArray[np.float32]


@numba.njit(**OPTIONS)
def _copy(sums: FloatArray, out: FloatArray) -> None:
    """Copy the sums of a tile (ROWS, SCORE_ROW) to the part of the result that they are for."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            out[row, column] = sums[row, column]


def _compile(tile_source: str) -> Any:
    """Make the kernel. That it names `tile_source` puts it into the key of Numba's disk cache."""

    @kernel(types.void(types.int64, types.int64, types.int64, types.int64, WORDS, WEIGHT, OUT), error_model="numpy")
    def bfloat16_block(
        start: int, stop: int, first: int, last: int, x: FloatArray, weight: FloatArray, out: FloatArray
    ) -> None:
        """out[i, j] = sum_k x[i, k] weight[j, k] for i in [start, stop) and j in [first, last).

        x: words (n * depth,), n a multiple of ROWS, as is start; weight: words (m, depth); out: float32 (rows, m).
        """
        lanes, depth = vector_lanes(tile_source), weight.shape[1]
        panels = np.empty(WIDE * depth, np.float32)
        sums = np.empty((ROWS, SCORE_ROW), np.float32)
        flat = sums.reshape(-1)
        for column in range(first, last, WIDE):
            columns = slice(column, min(column + WIDE, last))
            used = pack(weight, columns, lanes, panels)
            for row in range(start, stop, ROWS):
                bfloat16_tiles(x, row * depth, panels, depth, 0, used, flat)
                rows = slice(row, min(row + ROWS, stop))
                _copy(sums, out[rows, columns])

    return bfloat16_block


bfloat16_block = _compile(fingerprint())
