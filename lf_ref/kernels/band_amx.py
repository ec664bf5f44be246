"""Band attention in bfloat16 on AMX: see `band_tiles` and `amx`."""

from __future__ import annotations

import hashlib
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from . import amx, band_pairs
from .amx import ROWS, SIDE, bfloat16_averages, bfloat16_matrices, configure, filled, release
from .band_pairs import pair_attention
from .band_tiles import OPTIONS, SIGNATURE
from .jit import kernel
from .tile import SCORE_ROW

__all__ = ["band_block"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_VECTORS = 2  # of SIDE columns: a tile is as deep as two of them, in pairs


@numba.njit(**OPTIONS)
def _words(head_dim: int) -> int:
    return filled((head_dim + 1) // 2)


@numba.njit(**OPTIONS)
def _score(
    queries: FloatArray, at: int, keys: FloatArray, depth: int, first: int, count: int, scores: FloatArray
) -> None:
    bfloat16_matrices(queries, at, ROWS, keys, depth, first, count, scores, 0, SCORE_ROW)


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
    bfloat16_averages(scores, steps[0] // 2, steps[1] // 2, values, vectors, averages, at)


_attend = pair_attention("amx", ROWS, _VECTORS, _words, _score, _average)


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
        """As that of `band_bfloat16`."""
        configure(tile_source)
        _attend(query, key, value, local, global_positions, one_sided, (start, stop), SIDE, out)
        release()

    return band_block


band_block = _compile(hashlib.sha256((amx.fingerprint() + band_pairs.fingerprint()).encode()).hexdigest())
