"""Band attention on tiles: the same as `band_plain` at the rate of a matrix product.

The visible keys a block of queries can see are packed into columns, global tokens first, then the local ones
in order of position, so that each query sees a prefix and one contiguous stretch. A group of queries at a time is
multiplied with the columns it sees, the scores become powers of two in place, and those are multiplied by
the values. At most CHUNK columns are in work at once; where a block has more, the sums so far are scaled to
the larger of the maxima, so the softmax stays exact (Milakov and Gimelshein, arXiv 1805.02867).

`band_float32`, `band_bfloat16` and `band_amx` say which numbers are multiplied and how; the rest is here.

Letters: seq tokens, head_dim numbers per head, depth the 32-bit words that hold them, width head_dim rounded up to
whole vectors, g global tokens, lanes the length of a vector.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from . import short_tiles, tile
from .tile import CHUNK, SCORE_ROW, mask_and_maximum, scatter_row

__all__ = ["OPTIONS", "SIGNATURE", "Columns", "Kind", "attention", "fingerprint", "round_up"]

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_LOWEST = np.finfo(np.float32).min
_ONE = np.float32(1.0)
_LOG2_E = math.log2(math.e)

# One signature for all strides and for read-only inputs: one kernel to compile, to cache and to load.
_MATRIX, _INPUT = types.float32[:, :], types.Array(types.float32, 2, "A", readonly=True)
_MASK, _POSITIONS = (types.Array(kind, 1, "A", readonly=True) for kind in (types.boolean, types.int64))
SIGNATURE = types.void(_INPUT, _INPUT, _INPUT, _MASK, _POSITIONS, types.int64, types.int64, types.int64, _MATRIX)


def fingerprint() -> str:
    """As that of `tile`, for kernels that also call what is here."""
    sources = "".join(map(inspect.getsource, (sys.modules[__name__], short_tiles))) + tile.fingerprint()
    return hashlib.sha256(sources.encode()).hexdigest()


class Kind(NamedTuple):
    """How one kind of numbers is multiplied: compiled functions, and the sizes that they like.

    rows: queries in a group. vectors: columns are done in steps of so many vectors.
    words(head_dim): the depth.
    pack_query(query, position, scale, queries, at): write a query, scaled, to queries[at : at + depth].
    pack(key, value, columns, chunk, lanes, width, keys, values): write the columns of a chunk, from its first to the
    one before its last, as `score` and `average` want them.
    score(queries, at, keys, depth, first, count, scores): products of a group with `count` vectors of columns from
    the first on, into its rows of scores, which lie SCORE_ROW apart.
    exponentials(scores, base, begin, end, top): overwrite scores[base + begin : base + end] by what `average` takes,
    2**(scores - top), and return the sum.
    average(scores, used, steps, values, vectors, averages, at): add to the averages the values of the columns in the
    range `used`, times those powers; steps: that range in whole steps, where the powers are 0 beyond `used`.
    """

    name: str
    rows: int
    vectors: int
    words: Callable[..., Any]
    pack_query: Callable[..., Any]
    pack: Callable[..., Any]
    score: Callable[..., Any]
    exponentials: Callable[..., Any]
    average: Callable[..., Any]


class Columns(NamedTuple):
    """The tokens that the queries of a block can see, in columns.

    positions: int64, the tokens' places in the text, padded with 0; globals: g, the number of global tokens, the
    first columns; [first, used): those of local tokens, which begin at g rounded up to whole steps.
    """

    positions: IntArray
    globals: int
    first: int
    used: int


class _Rows(NamedTuple):
    """The local queries of a block in rows, padded to whole groups, and what they have gathered so far.

    queries (rows * depth,): scaled so that 2**score replaces exp(score); first, last (rows,): each sees
    the local columns [first, last); maxima, totals (rows,), averages (rows * width,): the largest score and
    the sums of 2**(score - maximum), alone and times the values.
    """

    queries: FloatArray
    first: IntArray
    last: IntArray
    maxima: FloatArray
    totals: FloatArray
    averages: FloatArray


@numba.njit(**OPTIONS)
def round_up(count: int, step: int) -> int:
    """The smallest multiple of a step that is no less."""
    return -(-count // step) * step


@numba.njit(**OPTIONS)
def _columns(local: NDArray[np.bool_], global_positions: IntArray, first: int, last: int, step: int) -> Columns:
    """List the global tokens and the local tokens in [first, last)."""
    globals_ = global_positions.shape[0]
    begin = count = round_up(globals_, step)
    positions = np.zeros(count + last - first + step, np.int64)
    positions[:globals_] = global_positions
    for position in range(first, last):
        if local[position]:
            positions[count] = position
            count += 1
    return Columns(positions, globals_, begin, count)


@numba.njit(**OPTIONS)
def _lower(rows: _Rows, row: int, width: int, maximum: np.float32) -> None:
    """Scale the sums of a row to a maximum that is larger than before."""
    factor = np.float32(2.0 ** (np.float64(rows.maxima[row]) - np.float64(maximum)))
    rows.totals[row] *= factor
    for at in range(row * width, (row + 1) * width):
        rows.averages[at] *= factor


def _row_packer(kind: Kind) -> Any:
    together, pack_query = kind.rows, kind.pack_query

    def pack_rows(
        query: FloatArray,
        local: NDArray[np.bool_],
        one_sided: int,
        block: tuple[int, int],
        columns: Columns,
        depth: int,
        width: int,
    ) -> _Rows:
        """Scale and pack the local queries of the block [start, stop) and find the columns each of them sees."""
        start, stop = block
        count = round_up(np.sum(local[start:stop]), together)
        queries = np.zeros(count * depth, np.float32)
        first, last = np.empty(count, np.int64), np.empty(count, np.int64)
        scale = np.float32(_LOG2_E / math.sqrt(query.shape[1]))
        row = 0
        low = high = columns.first
        for position in range(start, stop):
            if local[position]:
                while columns.positions[low] < position - one_sided:
                    low += 1
                while high < columns.used and columns.positions[high] <= position + one_sided:
                    high += 1
                first[row], last[row] = low, high
                pack_query(query, position, scale, queries, row * depth)
                row += 1
        first[row:], last[row:] = low, high
        maxima, totals = np.full(count, _LOWEST, np.float32), np.zeros(count, np.float32)
        return _Rows(queries, first, last, maxima, totals, np.zeros(count * width, np.float32))

    return _compiled(pack_rows, kind)


def _attender(kind: Kind) -> Any:
    together, score, exponentials, average = kind.rows, kind.score, kind.exponentials, kind.average

    def attend(
        rows: _Rows,
        group: int,
        chunk: tuple[int, int, int],
        lanes: int,
        step: int,
        width: int,
        scores: FloatArray,
        keys: FloatArray,
        values: FloatArray,
    ) -> None:
        """Add to the sums of a group of rows, from row `group` on, what they gather from the columns of a chunk.

        chunk: its first column, the column after its last, and how many of its columns hold global tokens;
        keys, values: as the kind packs them; scores: room for a group, rows SCORE_ROW apart.
        """
        offset, limit, wide = chunk
        wide_room = round_up(wide, step)
        begin = max(rows.first[group], offset) - offset
        end = min(rows.last[group + together - 1], limit) - offset
        if end <= begin:
            begin = end = 0
        near_room, far_room = begin // step * step, round_up(end, step)
        depth = rows.queries.shape[0] // rows.first.shape[0]
        score(rows.queries, group * depth, keys, depth, 0, wide_room // lanes, scores)
        score(rows.queries, group * depth, keys, depth, near_room // lanes, (far_room - near_room) // lanes, scores)
        for index in range(together):
            row, base = group + index, index * SCORE_ROW
            near = min(max(rows.first[row] - offset, begin), end)
            far = max(near, min(rows.last[row] - offset, end))
            top = mask_and_maximum(scores, base, base + wide_room, base, base + wide, rows.maxima[row])
            top = mask_and_maximum(scores, base + near_room, base + far_room, base + near, base + far, top)
            if offset > 0 and top > rows.maxima[row]:
                _lower(rows, row, width, top)
            rows.maxima[row] = top
            rows.totals[row] += exponentials(scores, base, 0, wide_room, top)
            rows.totals[row] += exponentials(scores, base, near_room, far_room, top)
        average(scores, (0, wide), (0, wide_room), values, width // lanes, rows.averages, group * width)
        average(scores, (begin, end), (near_room, far_room), values, width // lanes, rows.averages, group * width)

    return _compiled(attend, kind)


def attention(kind: Kind) -> Any:
    """A compiled function that attends with one kind of numbers; it takes what a kernel takes, and the lanes."""
    together, vectors, words, pack = kind.rows, kind.vectors, kind.words, kind.pack
    pack_rows, attend = _row_packer(kind), _attender(kind)

    def attend_block(
        query: FloatArray,
        key: FloatArray,
        value: FloatArray,
        local: NDArray[np.bool_],
        global_positions: IntArray,
        one_sided: int,
        block: tuple[int, int],
        lanes: int,
        out: FloatArray,
    ) -> None:
        """As `band_float32.band_block`."""
        start, stop = block
        seq, head_dim = query.shape
        step, depth, width = lanes * vectors, words(head_dim), round_up(head_dim, lanes)
        columns = _columns(local, global_positions, max(0, start - one_sided), min(seq, stop + one_sided), step)
        rows = pack_rows(query, local, one_sided, block, columns, depth, width)
        room = min(CHUNK, round_up(columns.used, step))
        keys = np.empty(room * depth, np.float32)
        values = np.empty(room * width, np.float32)  # what pads its rows is never looked at
        scores = np.empty(together * SCORE_ROW, np.float32)
        for offset in range(0, columns.used if len(rows.first) else 0, CHUNK):
            limit = min(columns.used, offset + CHUNK)
            wide = max(0, min(columns.globals, limit) - offset)
            pack(key, value, columns, (offset, limit), lanes, width, keys, values)
            for group in range(0, rows.first.shape[0], together):
                attend(rows, group, (offset, limit, wide), lanes, step, width, scores, keys, values)
        row = 0
        for position in range(start, stop):
            if local[position]:
                scatter_row(rows.averages, row * width, _ONE / rows.totals[row], out, position)
                row += 1
            else:
                out[position] = 0

    return _compiled(attend_block, kind)


def _compiled(function: Any, kind: Kind) -> Any:
    """The kind is part of its name: kernels that come from Numba's cache find what they call by name alone."""
    function.__qualname__ += f"_{kind.name}"
    return numba.njit(**OPTIONS)(function)
