"""Band attention in float32 on register tiles: the same as `band_plain` at the rate of a matrix product.

The visible keys a block of queries can see are packed into columns, global tokens first, then the local ones
in order of position, so that each query sees a prefix and one contiguous stretch. ROWS queries at a time are
multiplied with the columns they see, their scores become powers of two in place, and those are multiplied by
the values. At most CHUNK columns are in work at once; where a block has more, the sums so far are scaled to
the larger of the maxima, so the softmax stays exact (Milakov and Gimelshein, arXiv 1805.02867).

Letters: seq tokens, head_dim numbers per head, width head_dim rounded up to whole vectors, g global tokens.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from .jit import kernel
from .tile import (
    CHUNK,
    ROWS,
    SCORE_ROW,
    exponentials,
    fingerprint,
    gather_panel,
    gather_row,
    mask_and_maximum,
    scatter_row,
    score_tiles,
    value_tiles,
    vector_lanes,
)

__all__ = ["band_block"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_LOWEST = np.finfo(np.float32).min
_ONE = np.float32(1.0)
_LOG2_E = math.log2(math.e)

# One signature for all strides and for read-only inputs: one kernel to compile, to cache and to load.
_MATRIX, _INPUT = types.float32[:, :], types.Array(types.float32, 2, "A", readonly=True)
_MASK, _POSITIONS = (types.Array(kind, 1, "A", readonly=True) for kind in (types.boolean, types.int64))
_SIGNATURE = types.void(_INPUT, _INPUT, _INPUT, _MASK, _POSITIONS, types.int64, types.int64, types.int64, _MATRIX)


class _Columns(NamedTuple):
    """The tokens that the queries of a block can see, in columns.

    positions: int64, the tokens' places in the text, padded with 0; used: columns in use; globals: g, the
    number of global tokens, the first columns; the local ones begin at g rounded up to whole vectors.
    """

    positions: IntArray
    used: int
    globals: int


class _Rows(NamedTuple):
    """The local queries of a block in rows, padded to a multiple of ROWS, and what they have gathered so far.

    queries (rows * head_dim,): scaled so that 2**score replaces exp(score); first, last (rows,): each sees
    the local columns [first, last); maxima, totals (rows,), averages (rows * width,): the largest score and
    the sums of 2**(score - maximum), alone and times the values.
    """

    queries: FloatArray
    first: IntArray
    last: IntArray
    maxima: FloatArray
    totals: FloatArray
    averages: FloatArray


@numba.njit(**_OPTIONS)
def _round_up(count: int, step: int) -> int:
    return -(-count // step) * step


@numba.njit(**_OPTIONS)
def _columns(local: NDArray[np.bool_], global_positions: IntArray, first: int, last: int, lanes: int) -> _Columns:
    """List the global tokens and the local tokens in [first, last)."""
    globals_ = global_positions.shape[0]
    count = _round_up(globals_, lanes)
    positions = np.zeros(count + last - first + lanes, np.int64)
    positions[:globals_] = global_positions
    for position in range(first, last):
        if local[position]:
            positions[count] = position
            count += 1
    return _Columns(positions, count, globals_)


@numba.njit(**_OPTIONS)
def _rows(
    query: FloatArray,
    local: NDArray[np.bool_],
    one_sided: int,
    block: tuple[int, int],
    columns: _Columns,
    lanes: int,
) -> _Rows:
    """Scale and pack the local queries of the block [start, stop) and find the columns each of them sees."""
    start, stop = block
    head_dim = query.shape[1]
    count = _round_up(np.sum(local[start:stop]), ROWS)
    queries = np.zeros(count * head_dim, np.float32)
    first, last = np.empty(count, np.int64), np.empty(count, np.int64)
    scale = np.float32(_LOG2_E / math.sqrt(head_dim))
    row = 0
    low = high = _round_up(columns.globals, lanes)
    for position in range(start, stop):
        if local[position]:
            while columns.positions[low] < position - one_sided:
                low += 1
            while high < columns.used and columns.positions[high] <= position + one_sided:
                high += 1
            first[row], last[row] = low, high
            gather_row(query, position, scale, queries, row * head_dim)
            row += 1
    first[row:], last[row:] = low, high
    averages = np.zeros(count * _round_up(head_dim, lanes), np.float32)
    return _Rows(queries, first, last, np.full(count, _LOWEST, np.float32), np.zeros(count, np.float32), averages)


@numba.njit(**_OPTIONS)
def _lower(rows: _Rows, row: int, width: int, maximum: np.float32) -> None:
    """Scale the sums of a row to a maximum that is larger than before."""
    factor = np.float32(2.0 ** (np.float64(rows.maxima[row]) - np.float64(maximum)))
    rows.totals[row] *= factor
    for at in range(row * width, (row + 1) * width):
        rows.averages[at] *= factor


@numba.njit(**_OPTIONS)
def _attend(
    rows: _Rows,
    group: int,
    chunk: tuple[int, int, int],
    lanes: int,
    width: int,
    scores: FloatArray,
    keys: FloatArray,
    values: FloatArray,
) -> None:
    """Add to the sums of ROWS rows, from row `group` on, what they gather from the columns of a chunk.

    chunk: its first column, the column after its last, and how many of its columns hold global tokens;
    keys (panels, head_dim, lanes), values (columns, width); scores: room for ROWS rows SCORE_ROW apart.
    """
    offset, limit, wide = chunk
    wide_room = _round_up(wide, lanes)
    begin = max(rows.first[group], offset) - offset
    end = min(rows.last[group + ROWS - 1], limit) - offset
    if end <= begin:
        begin = end = 0
    panel, room = begin // lanes * lanes, _round_up(end, lanes)
    head_dim = rows.queries.shape[0] // rows.first.shape[0]
    at, near_room = group * head_dim, (room - panel) // lanes
    score_tiles(rows.queries, at, keys, head_dim, 0, wide_room // lanes, scores, 0, SCORE_ROW)
    score_tiles(rows.queries, at, keys, head_dim, panel // lanes, near_room, scores, 0, SCORE_ROW)
    for index in range(ROWS):
        row, base = group + index, index * SCORE_ROW
        near = min(max(rows.first[row] - offset, begin), end)
        far = max(near, min(rows.last[row] - offset, end))
        top = mask_and_maximum(scores, base, base + wide_room, base, base + wide, rows.maxima[row])
        top = mask_and_maximum(scores, base + panel, base + room, base + near, base + far, top)
        if offset > 0 and top > rows.maxima[row]:
            _lower(rows, row, width, top)
        rows.maxima[row] = top
        rows.totals[row] += exponentials(scores, base, base + wide_room, top)
        rows.totals[row] += exponentials(scores, base + panel, base + room, top)
    value_tiles(scores, 0, wide, values, width // lanes, rows.averages, group * width)
    value_tiles(scores, begin, end, values, width // lanes, rows.averages, group * width)


def _compile(tile_source: str) -> Any:
    """Make the kernel. That it names `tile_source` puts it into the key of Numba's disk cache."""

    @kernel(_SIGNATURE, error_model="numpy")
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
        seq, head_dim = query.shape
        width = _round_up(head_dim, lanes)
        columns = _columns(local, global_positions, max(0, start - one_sided), min(seq, stop + one_sided), lanes)
        rows = _rows(query, local, one_sided, (start, stop), columns, lanes)
        room = min(CHUNK, _round_up(columns.used, lanes))
        keys = np.empty(room * head_dim, np.float32)
        values = np.zeros(room * width, np.float32)
        scores = np.empty(ROWS * SCORE_ROW, np.float32)
        for offset in range(0, columns.used, CHUNK):
            limit = min(columns.used, offset + CHUNK)
            wide = max(0, min(columns.globals, limit) - offset)
            for column in range(offset, limit, lanes):
                gather_panel(key, columns.positions, column, keys, (column - offset) * head_dim)
            for column in range(offset, limit):
                gather_row(value, columns.positions[column], _ONE, values, (column - offset) * width)
            for group in range(0, rows.first.shape[0], ROWS):
                _attend(rows, group, (offset, limit, wide), lanes, width, scores, keys, values)
        row = 0
        for position in range(start, stop):
            if local[position]:
                scatter_row(rows.averages, row * width, _ONE / rows.totals[row], out, position)
                row += 1
            else:
                out[position] = 0

    return band_block


band_block = _compile(fingerprint())
