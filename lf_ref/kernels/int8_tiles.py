"""Products of int8 matrices on register tiles, by the instruction made for them: see `dot_tiles`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from .dot_tiles import OFFSET, OUT, SUMS, VECTOR, WEIGHT, WIDE, fingerprint, pack, scale
from .jit import kernel
from .short_tiles import int8_tiles
from .tile import ROWS, SCORE_ROW, vector_lanes

__all__ = ["int8_block"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]


def _compile(tile_source: str) -> Any:
    """As in `float32_tiles`."""

    @kernel(
        types.void(types.int64, types.int64, types.int64, types.int64, VECTOR, VECTOR, WEIGHT, VECTOR, SUMS, OUT),
        error_model="numpy",
    )
    def int8_block(
        start: int,
        stop: int,
        first: int,
        last: int,
        x: FloatArray,
        x_scales: FloatArray,
        weight: FloatArray,
        scales: FloatArray,
        row_sums: IntArray,
        out: FloatArray,
    ) -> None:
        """out[i, j] = x_scales[i] scales[j] sum_k (x[i, k] - 128) weight[j, k], i and j as in `float32_block`.

        x: words (n * depth,), n a multiple of ROWS, as is start; weight: words (m, depth), row_sums (m,) the sums of
        its numbers; out: float32 (n * m,). The sums of products are exact as long as they fit an int32.
        """
        lanes, depth = vector_lanes(tile_source), weight.shape[1]
        panels = np.empty(WIDE * depth, np.float32)
        sums = np.empty(ROWS * SCORE_ROW, np.float32)
        for column in range(first, last, WIDE):
            beyond = min(column + WIDE, last)
            used = pack(weight, slice(column, beyond), lanes, depth, panels)
            offsets = row_sums[column:beyond] * OFFSET
            for row in range(start, stop, ROWS):
                int8_tiles(x, row * depth, panels, depth, 0, used, sums, 0, SCORE_ROW)
                scale(sums, (row, min(row + ROWS, stop), column, beyond), offsets, x_scales, scales, out)

    return int8_block


int8_block = _compile(fingerprint())
