"""What the products of bfloat16 and of int8 matrices on register tiles share.

The numbers lie in rows of words, 32 bits with 2 bfloat16 or 4 int8 numbers each, which pass for float32 here. WIDE rows
of the weight at a time are packed into columns of whole vectors and multiplied with all rows of a block.

Letters: m rows of the weight, depth words in a row.
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

from . import tile
from .tile import gather_panel

__all__ = ["OPTIONS", "OUT", "VECTOR", "WEIGHT", "WIDE", "WORDS", "fingerprint", "pack"]

FloatArray = NDArray[np.float32]

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
WIDE = 64  # rows of the weight packed at a time: a whole number of tiles for every shape of theirs

# One signature for read-only inputs and others: one kernel to compile, to cache and to load.
WORDS, OUT = types.Array(types.float32, 1, "C"), types.Array(types.float32, 2, "C")
WEIGHT, VECTOR = types.Array(types.float32, 2, "A", readonly=True), types.Array(types.float32, 1, "C", readonly=True)


def fingerprint() -> str:
    """As that of `tile`, for kernels that also call what is here."""
    sources = inspect.getsource(sys.modules[__name__]) + tile.fingerprint()
    return hashlib.sha256(sources.encode()).hexdigest()


@numba.njit(**OPTIONS)
def pack(weight: FloatArray, rows: slice, lanes: int, panels: FloatArray) -> int:
    """Pack some rows of the weight into panels (panels, depth, lanes) and return how many there are.

    The last row stands in for those that the last panel lacks.
    """
    positions = np.minimum(np.arange(rows.start, rows.start + WIDE), rows.stop - 1)
    used = -(-(rows.stop - rows.start) // lanes)
    for panel in range(used):
        gather_panel(weight, positions, panel * lanes, panels, panel * lanes * weight.shape[1])
    return used
