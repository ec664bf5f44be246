"""Memory that begins at a cache line: a vector or a row of a tile that lies across two lines is read twice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["empty"]

_LINE = 64  # bytes


def empty(size: int, dtype: Any) -> NDArray[Any]:
    """A flat array, not yet filled, that begins at a cache line; in compiled code as in plain Python."""
    room = np.empty(size + _LINE, dtype)
    skip = (_LINE - np.int64(room.ctypes.data) % _LINE) // room.itemsize
    return room[skip : skip + size]
