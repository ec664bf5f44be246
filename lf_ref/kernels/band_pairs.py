"""Queries, keys and values of band attention as pairs of bfloat16 numbers: what its two kernels for them share."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from . import band_tiles
from .band_tiles import OPTIONS, Columns, Kind, attention, round_up
from .short_tiles import bfloat16_exponentials, gather_bfloat16_pairs, gather_bfloat16_row
from .tile import gather_panel

__all__ = ["fingerprint", "pair_attention"]

FloatArray = NDArray[np.float32]

_ONE = np.float32(1.0)


def fingerprint() -> str:
    """As that of `band_tiles`, for kernels that also call what is here."""
    sources = inspect.getsource(sys.modules[__name__]) + band_tiles.fingerprint()
    return hashlib.sha256(sources.encode()).hexdigest()


def pair_attention(
    name: str,
    rows: int,
    vectors: int,
    words: Callable[..., Any],
    score: Callable[..., Any],
    average: Callable[..., Any],
) -> Any:
    """As `band_tiles.attention`, for bfloat16 numbers; the arguments are those of `Kind`."""

    def pack(
        key: FloatArray,
        value: FloatArray,
        columns: Columns,
        chunk: tuple[int, int],
        lanes: int,
        width: int,
        keys: FloatArray,
        values: FloatArray,
    ) -> None:
        """keys (panels, depth, lanes), pairs in the depth; values (columns / 2, width), pairs of columns.

        Of a last step that is not full, panels without a token are left as they are: their scores are not looked at.
        """
        first, last = chunk
        step, depth, positions = lanes * vectors, words(key.shape[1]), columns.positions
        rounded, lines = np.zeros((lanes, depth), np.float32), np.arange(lanes)
        flat = rounded.reshape(-1)
        for column in range(first, last, lanes):
            for lane in range(lanes):
                gather_bfloat16_row(key, positions[column + lane], _ONE, flat, lane * depth)
            gather_panel(rounded, lines, 0, keys, (column - first) * depth)
        beyond = first + round_up(last - first, step)
        for column in range(first, beyond, 2):
            pair = (column - first) // 2
            gather_bfloat16_pairs(value, positions[column], positions[column + 1], values, pair * width)
        # The values of columns without a token must be 0, since they are multiplied by powers that are 0.
        halves = values.view(np.uint16)
        for column in range(max(first, columns.globals), min(beyond, columns.first)):
            _clear(halves, column - first, width)
        for column in range(last, beyond):
            _clear(halves, column - first, width)

    pack.__qualname__ += f"_{name}"  # as in `band_tiles`
    compiled = numba.njit(**OPTIONS)(pack)
    return attention(Kind(name, rows, vectors, words, _pack_query, compiled, score, bfloat16_exponentials, average))


@numba.njit(**OPTIONS)
def _pack_query(query: FloatArray, position: int, scale: np.float32, queries: FloatArray, at: int) -> None:
    gather_bfloat16_row(query, position, scale, queries, at)


@numba.njit(**OPTIONS)
def _clear(halves: NDArray[np.uint16], column: int, width: int) -> None:
    for at in range(width):
        halves[2 * (column // 2 * width + at) + column % 2] = 0
