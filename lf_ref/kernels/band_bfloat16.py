"""Band attention in bfloat16 on register tiles, by the instruction made for it: see `band_tiles`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from .band_pairs import fingerprint, pair_attention
from .band_tiles import OPTIONS, SIGNATURE
from .jit import kernel
from .short_tiles import bfloat16_tiles, bfloat16_value_tiles
from .tile import ROWS, SCORE_ROW, vector_lanes

__all__ = ["band_block"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@numba.njit(**OPTIONS)
def _words(head_dim: int) -> int:
    return (head_dim + 1) // 2


@numba.njit(**OPTIONS)
def _score(
    queries: FloatArray, at: int, keys: FloatArray, depth: int, first: int, count: int, scores: FloatArray
) -> None:
    bfloat16_tiles(queries, at, keys, depth, first, count, scores, 0, SCORE_ROW)


@numba.njit(**OPTIONS)
def _average(
    scores: FloatArray,
    used: tuple[int, int],
    steps: tuple[int, int],
    values: FloatArray,
    vectors: int,
    averages: FloatArray,
    at: int,
) -> None:
    bfloat16_value_tiles(scores, steps[0] // 2, steps[1] // 2, values, vectors, averages, at)


_attend = pair_attention("bfloat16", ROWS, 1, _words, _score, _average)


def _compile(tile_source: str) -> Any:
    """As in `band_float32`."""

    @kernel(SIGNATURE, error_model="numpy")
    def band_block(
        query: FloatArray,
        key: FloatArray,
        value: FloatArray,
        local: NDArray[np.bool_],
        global_positions: IntArray,
        one_sided: int,
        start: int,
        stop: int,
        out: FloatArray,
    ) -> None:
        """As that of `band_float32`, where queries, keys, values and shares are rounded to bfloat16.

        A value that is infinite or not a number, which a finite one beyond bfloat16's largest becomes too, spoils not
        only the queries that see it, but also some beside them: those done together, and whole steps of columns.
        """
        lanes = vector_lanes(tile_source)
        _attend(query, key, value, local, global_positions, one_sided, (start, stop), lanes, out)

    return band_block


band_block = _compile(fingerprint())
