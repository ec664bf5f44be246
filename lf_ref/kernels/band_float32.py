"""Band attention in float32 on register tiles: see `band_tiles`."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from .band_tiles import OPTIONS, SIGNATURE, Columns, Kind, attention, fingerprint
from .jit import kernel
from .tile import ROWS, SCORE_ROW, exponentials, gather_panel, gather_row, score_tiles, value_tiles, vector_lanes

__all__ = ["band_block"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_ONE = np.float32(1.0)


@numba.njit(**OPTIONS)
def _words(head_dim: int) -> int:
    return head_dim


@numba.njit(**OPTIONS)
def _pack_query(query: FloatArray, position: int, scale: np.float32, queries: FloatArray, at: int) -> None:
    gather_row(query, position, scale, queries, at)


@numba.njit(**OPTIONS)
def _score(
    queries: FloatArray, at: int, keys: FloatArray, depth: int, first: int, count: int, scores: FloatArray
) -> None:
    score_tiles(queries, at, keys, depth, first, count, scores, 0, SCORE_ROW)


@numba.njit(**OPTIONS)
def _exponentials(scores: FloatArray, base: int, begin: int, end: int, top: np.float32) -> np.float32:
    return exponentials(scores, base + begin, base + end, top)


@numba.njit(**OPTIONS)
def _pack(
    key: FloatArray,
    value: FloatArray,
    columns: Columns,
    chunk: tuple[int, int],
    lanes: int,
    width: int,
    keys: FloatArray,
    values: FloatArray,
) -> None:
    """keys (panels, head_dim, lanes), values (columns, width)."""
    first, last = chunk
    for column in range(first, last, lanes):
        gather_panel(key, columns.positions, column, keys, (column - first) * key.shape[1])
    for column in range(first, last):
        gather_row(value, columns.positions[column], _ONE, values, (column - first) * width)


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
    value_tiles(scores, used[0], used[1], values, vectors, averages, at)


_attend = attention(Kind("float32", ROWS, 1, _words, _pack_query, _pack, _score, _exponentials, _average))


def _compile(tile_source: str) -> Any:
    """Make the kernel. That it names `tile_source` puts it into the key of Numba's disk cache."""

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
        """Average the values each query may see; a query that is not local yields zeros.

        out[i] = sum_j softmax_j(query[i] . key[j] / sqrt(head_dim)) value[j] for i in [start, stop), over the
        j that are global, or local with |i - j| <= one_sided.

        query, key, value, out: float32 (seq, head_dim), the numbers of a row side by side, rows any distance
        apart, query not yet scaled; local: bool (seq,), visible and not global; global_positions: int64 (g,),
        ascending.
        """
        lanes = vector_lanes(tile_source)
        _attend(query, key, value, local, global_positions, one_sided, (start, stop), lanes, out)

    return band_block


band_block = _compile(fingerprint())
