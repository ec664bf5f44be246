"""Products of bfloat16 or int8 matrices on register tiles, by instructions made for them.

The numbers lie in rows of words, 32 bits with 2 bfloat16 or 4 int8 numbers each, which pass for float32 here. Some rows
of the weight at a time are packed into columns of whole vectors and multiplied with all rows of a block.

Letters: n rows, m columns of the result, depth words in a row.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from .jit import kernel
from .tile import ROWS, SCORE_ROW, bfloat16_tiles, fingerprint, gather_panel, int8_tiles, vector_lanes

__all__ = ["block_kernel"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_WIDE = 64  # rows of the weight packed at a time: a whole number of tiles for every shape of theirs
_OFFSET = np.int32(128)  # of the left numbers, which the instruction takes without sign

_WORDS = types.Array(types.float32, 1, "C")
_WEIGHT = types.Array(types.float32, 2, "A", readonly=True)
_OUT = types.Array(types.float32, 2, "C")
_SCALES, _SUMS = (types.Array(kind, 1, "C", readonly=True) for kind in (types.float32, types.int32))
_INDEX = types.int64


@numba.njit(**_OPTIONS)
def _pack(weight: FloatArray, rows: slice, lanes: int, panels: FloatArray) -> int:
    """Pack some rows of the weight into panels (panels, depth, lanes) and return how many there are.

    The last row stands in for those that the last panel lacks.
    """
    positions = np.minimum(np.arange(rows.start, rows.start + _WIDE), rows.stop - 1)
    used = -(-(rows.stop - rows.start) // lanes)
    for panel in range(used):
        gather_panel(weight, positions, panel * lanes, panels, panel * lanes * weight.shape[1])
    return used


@numba.njit(**_OPTIONS)
def _copy(sums: FloatArray, out: FloatArray) -> None:
    """Copy the sums of a tile (ROWS, SCORE_ROW) to the part of the result that they are for."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            out[row, column] = sums[row, column]


@numba.njit(**_OPTIONS)
def _scale(sums: IntArray, offsets: IntArray, x_scales: FloatArray, scales: FloatArray, out: FloatArray) -> None:
    """out = x_scales scales (sums - offsets), as `_copy`; what the sums went beyond an int32, the offsets take back."""
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            total = np.int32(sums[row, column] - offsets[column])
            out[row, column] = np.float32(total) * x_scales[row] * scales[column]


def _compile_bfloat16(tile_source: str) -> Any:
    """Make the kernel. That it names `tile_source` puts it into the key of Numba's disk cache."""

    @kernel(types.void(_INDEX, _INDEX, _INDEX, _INDEX, _WORDS, _WEIGHT, _OUT), error_model="numpy")
    def bfloat16_block(
        start: int, stop: int, first: int, last: int, x: FloatArray, weight: FloatArray, out: FloatArray
    ) -> None:
        """out[i, j] = sum_k x[i, k] weight[j, k] for i in [start, stop) and j in [first, last).

        x: words (n * depth,), n a multiple of ROWS, as is start; weight: words (m, depth); out: float32 (rows, m).
        """
        lanes, depth = vector_lanes(tile_source), weight.shape[1]
        panels = np.empty(_WIDE * depth, np.float32)
        sums = np.empty((ROWS, SCORE_ROW), np.float32)
        flat = sums.reshape(-1)
        for column in range(first, last, _WIDE):
            columns = slice(column, min(column + _WIDE, last))
            used = _pack(weight, columns, lanes, panels)
            for row in range(start, stop, ROWS):
                bfloat16_tiles(x, row * depth, panels, depth, 0, used, flat)
                rows = slice(row, min(row + ROWS, stop))
                _copy(sums, out[rows, columns])

    return bfloat16_block


def _compile_int8(tile_source: str) -> Any:
    """As `_compile_bfloat16`."""

    @kernel(
        types.void(_INDEX, _INDEX, _INDEX, _INDEX, _WORDS, _SCALES, _WEIGHT, _SCALES, _SUMS, _OUT),
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
        """out[i, j] = x_scales[i] scales[j] sum_k (x[i, k] - 128) weight[j, k], i and j as in `bfloat16_block`.

        x: words (n * depth,), n a multiple of ROWS, as is start; weight: words (m, depth), row_sums (m,) the sums of
        its numbers; out: float32 (rows, m). The sums of products are exact as long as they fit an int32.
        """
        lanes, depth = vector_lanes(tile_source), weight.shape[1]
        panels = np.empty(_WIDE * depth, np.float32)
        sums = np.empty((ROWS, SCORE_ROW), np.float32)
        flat = sums.reshape(-1)
        integers = sums.view(np.int32)
        for column in range(first, last, _WIDE):
            columns = slice(column, min(column + _WIDE, last))
            used = _pack(weight, columns, lanes, panels)
            offsets = row_sums[columns] * _OFFSET
            for row in range(start, stop, ROWS):
                int8_tiles(x, row * depth, panels, depth, 0, used, flat)
                rows = slice(row, min(row + ROWS, stop))
                _scale(integers, offsets, x_scales[rows], scales[columns], out[rows, columns])

    return int8_block


@cache
def block_kernel(kind: str) -> Any:
    """`bfloat16_block` or `int8_block`, made when first wanted: not every processor has both instructions."""
    return {"bfloat16": _compile_bfloat16, "int8": _compile_int8}[kind](fingerprint())
