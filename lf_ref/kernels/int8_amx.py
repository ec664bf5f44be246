"""Products of int8 matrices on AMX: see `amx`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from .amx import ROWS, SIDE, WIDE, configure, filled, fingerprint, int8_matrices, panels_for, release
from .dot_tiles import OFFSET, OUT, SUMS, VECTOR, WEIGHT, pack, scale
from .jit import kernel
from .tile import SCORE_ROW

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
        """As that of `int8_tiles`; x is filled up as `amx` wants it, and start a multiple of its ROWS."""
        depth = filled(weight.shape[1])
        panels = panels_for(weight)
        sums = np.empty(ROWS * SCORE_ROW, np.float32)
        configure(tile_source)
        for column in range(first, last, WIDE):
            beyond = min(column + WIDE, last)
            used = pack(weight, slice(column, beyond), SIDE, depth, panels)
            offsets = row_sums[column:beyond] * OFFSET
            for row in range(start, stop, ROWS):
                below = min(row + ROWS, stop)
                int8_matrices(x, row * depth, below - row, panels, depth, 0, used, sums, 0, SCORE_ROW)
                scale(sums, (row, below, column, beyond), offsets, x_scales, scales, out)
        release()

    return int8_block


int8_block = _compile(fingerprint())
