"""Products x W^T of float32, bfloat16 or int8 matrices on register tiles: what they share.

The numbers lie in rows of words, 32 bits with 1 float32, 2 bfloat16 or 4 int8 numbers each, which all pass for float32
here. WIDE rows of the weight at a time are packed into columns of whole vectors and multiplied with all rows of a
block: they stay in the second-level cache, and each word of x is read once for WIDE columns.

Letters: n rows of x, m of the weight, depth words in a row.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from typing import Any

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from . import short_tiles, tile
from .short_tiles import scale_sums
from .tile import ROWS, SCORE_ROW, gather_panel

__all__ = [
    "OFFSET",
    "OPTIONS",
    "OUT",
    "SUMS",
    "VECTOR",
    "WEIGHT",
    "WIDE",
    "copy",
    "fingerprint",
    "multiplier",
    "pack",
    "scale",
]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
WIDE = 64  # rows of the weight packed at a time: a whole number of tiles for every shape of theirs

# One signature for read-only inputs and others: one kernel to compile, to cache and to load.
OUT, VECTOR = types.Array(types.float32, 1, "C"), types.Array(types.float32, 1, "C", readonly=True)
WEIGHT = types.Array(types.float32, 2, "A", readonly=True)
SUMS = types.Array(types.int32, 1, "C", readonly=True)

OFFSET = np.int32(128)  # of the left numbers of an int8 product, which the instructions take without sign


def fingerprint() -> str:
    """As that of `tile`, for kernels that also call what is here."""
    sources = "".join(map(inspect.getsource, (sys.modules[__name__], short_tiles))) + tile.fingerprint()
    return hashlib.sha256(sources.encode()).hexdigest()


@numba.njit(**OPTIONS)
def pack(weight: FloatArray, rows: slice, lanes: int, depth: int, panels: FloatArray) -> int:
    """Pack some rows of the weight into panels (panels, depth, lanes) and return how many there are.

    The last row stands in for those that the last panel lacks. What is deeper than the weight is left alone.
    """
    used = -(-(rows.stop - rows.start) // lanes)
    positions = np.minimum(np.arange(rows.start, rows.start + used * lanes), rows.stop - 1)
    for panel in range(used):
        gather_panel(weight, positions, panel * lanes, panels, panel * lanes * depth)
    return used


@numba.njit(**OPTIONS)
def copy(sums: FloatArray, at: int, rows: int, column: int, beyond: int, row: int, width: int, out: FloatArray) -> None:
    """Copy sums (ROWS, SCORE_ROW), from column `at` on, to `rows` rows of out (n, width), up to column `beyond`."""
    for index in range(rows):
        place = (row + index) * width + column
        for offset in range(at, beyond - column):
            out[place + offset] = sums[index * SCORE_ROW + offset]


@numba.njit(**OPTIONS)
def scale(
    sums: FloatArray,
    block: tuple[int, int, int, int],
    offsets: IntArray,
    x_scales: FloatArray,
    scales: FloatArray,
    out: FloatArray,
) -> None:
    """out = x_scales scales (sums - offsets) for a block of an int8 product, from the sums of a tile.

    sums: rows SCORE_ROW apart; offsets: one for each of its columns; x_scales (n,), scales (m,), out (n * m,).
    """
    start, stop, first, last = block
    for row in range(start, stop):
        place = row * scales.shape[0] + first
        scale_sums(sums, (row - start) * SCORE_ROW, offsets, x_scales[row], scales, first, last - first, out, place)


def multiplier(kind: str, tiles: Any) -> Any:
    """A compiled function that multiplies blocks of one kind by `tile.score_tiles`, or what takes the same arguments.

    The kind is part of its name: kernels that come from Numba's cache find what they call by name alone.
    """

    def multiply(
        block: tuple[int, int, int, int], x: FloatArray, weight: FloatArray, lanes: int, out: FloatArray
    ) -> None:
        """out[i, j] = sum_k x[i, k] weight[j, k] for i in [start, stop) and j in [first, last), a block's numbers.

        x (n * depth,), weight (m, depth), out (n * m,).
        """
        start, stop, first, last = block
        width, depth = weight.shape
        panels = np.empty(WIDE * depth, np.float32)
        sums = np.empty(ROWS * SCORE_ROW, np.float32)
        # Rows that do not fill a tile are multiplied in a place that has room for one.
        whole = stop - (stop - start) % ROWS
        rest = np.zeros(ROWS * depth, np.float32)
        rest[: (stop - whole) * depth] = x[whole * depth : stop * depth]
        for column in range(first, last, WIDE):
            beyond = min(column + WIDE, last)
            used = pack(weight, slice(column, beyond), lanes, depth, panels)
            full = (beyond - column) // lanes
            for row in range(start, whole, ROWS):
                tiles(x, row * depth, panels, depth, 0, full, out, row * width + column, width)
                if full < used:
                    tiles(x, row * depth, panels, depth, full, used - full, sums, 0, SCORE_ROW)
                    copy(sums, full * lanes, ROWS, column, beyond, row, width, out)
            if whole < stop:
                tiles(rest, 0, panels, depth, 0, used, sums, 0, SCORE_ROW)
                copy(sums, 0, stop - whole, column, beyond, whole, width, out)

    multiply.__qualname__ += f"_{kind}"
    return numba.njit(**OPTIONS)(multiply)
