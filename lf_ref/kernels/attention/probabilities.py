"""The probabilities behind the band attention, laid out as Hugging Face's `attentions`: in plain loops, by token.

The visible keys that a block of queries can see are packed into one list, global tokens first, then the local ones in
order of position. In that list each query sees a prefix and one contiguous stretch, so no mask is looked at again.

Letters: seq tokens, head_dim values per head, g global tokens, before and after neighbours on the two sides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..jit import helper, kernel, once, types

__all__ = ["band_probabilities_kernel"]

FloatArray = NDArray[np.floating[Any]]

# A multiply and an add may become one fused instruction: that only saves a rounding.
_FLAGS = {"contract"}


@helper
def _packed_positions(
    local: NDArray[np.bool_], global_positions: NDArray[np.int64], first: int, last: int
) -> NDArray[np.int64]:
    """List the positions of the global tokens, then of the local tokens in [first, last), ascending."""
    count = global_positions.shape[0]
    for position in range(first, last):
        if local[position]:
            count += 1
    positions = np.empty(count, np.int64)
    column = 0
    for index in range(global_positions.shape[0]):
        positions[column] = global_positions[index]
        column += 1
    for position in range(first, last):
        if local[position]:
            positions[column] = position
            column += 1
    return positions


@helper(fastmath=_FLAGS)
def _add_scaled(total: FloatArray, factor: Any, row: FloatArray) -> None:
    """total += factor * row, all of one dtype; a loop because a NumPy expression would allocate."""
    for index in range(total.shape[0]):
        total[index] += factor * row[index]


@helper
def _softmax_parts(left: FloatArray, right: FloatArray) -> None:
    """Turn the scores in two arrays into probabilities: one softmax over both; `right` is not empty."""
    maximum = right[0]
    for score in left:
        if score > maximum:
            maximum = score
    for score in right:
        if score > maximum:
            maximum = score
    total = right.dtype.type(0)
    for index in range(left.shape[0]):
        left[index] = math.exp(left[index] - maximum)
        total += left[index]
    for index in range(right.shape[0]):
        right[index] = math.exp(right[index] - maximum)
        total += right[index]
    left /= total
    right /= total


@helper(fastmath=_FLAGS)
def _attend(
    query_row: FloatArray,
    scale: Any,
    keys: FloatArray,
    everywhere: FloatArray,
    nearby: FloatArray,
    first: int,
) -> None:
    """Write the probabilities of one query: on the global tokens and on its stretch, which begins at `first`.

    query_row (head_dim,); keys (head_dim, columns), the packed list; everywhere (g,) and nearby
    (last - first,) are parts of one row.
    """
    everywhere[:] = 0
    nearby[:] = 0
    for dim in range(keys.shape[0]):
        factor = query_row[dim] * scale
        _add_scaled(everywhere, factor, keys[dim, : everywhere.shape[0]])
        _add_scaled(nearby, factor, keys[dim, first : first + nearby.shape[0]])
    _softmax_parts(everywhere, nearby)


@once
def band_probabilities_kernel(dtype: Any) -> Any:
    """The kernel for float32 or float64."""
    real = types.float64 if dtype == np.float64 else types.float32
    matrix, integer = types.Array(real, 2, "A", readonly=True), types.int64
    mask, positions = types.Array(types.boolean, 1, "A", readonly=True), types.Array(integer, 1, "A", readonly=True)
    pair = types.UniTuple(integer, 2)
    signature = types.void(matrix, matrix, mask, types.UniTuple(positions, 2), pair, pair, types.Array(real, 2, "A"))

    @kernel(signature, fastmath=_FLAGS)
    def band_probabilities(
        query: FloatArray,
        key: FloatArray,
        local: NDArray[np.bool_],
        globals_: tuple[NDArray[np.int64], NDArray[np.int64]],
        sides: tuple[int, int],
        rows: tuple[int, int],
        out: FloatArray,
    ) -> None:
        """Write the probabilities of some rows, from and to, in the layout of Hugging Face's `attentions`.

        out: (seq, x + 2 * before + 1), x >= g. Columns [0, g): the global tokens in order of position, then zeros up
        to x. Column x + before: the token itself, around it its neighbours. What is not attended to holds 0, as does
        the whole row of a query that is not local. query: (seq, head_dim), not yet scaled, and key: (at least seq,
        head_dim), any strides; local: bool (seq,), visible and not global; globals_: int64 (g,) each, ascending: the
        global tokens among the keys, and the first queries that see them; sides: before and after.
        """
        seq, head_dim = query.shape
        (global_positions, seen_from), (before, after), (start, stop) = globals_, sides, rows
        global_count, seen = global_positions.shape[0], 0
        scale = query.dtype.type(1.0 / math.sqrt(head_dim))
        positions = _packed_positions(local, global_positions, max(0, start - before), min(seq, stop + after))
        columns = positions.shape[0]
        keys = np.empty((head_dim, columns), query.dtype)
        for column in range(columns):
            for dim in range(head_dim):
                keys[dim, column] = key[positions[column], dim]
        scores = np.empty(columns, query.dtype)
        centre = out.shape[1] - before - 1
        first = last = global_count
        for row in range(start, stop):
            out[row] = 0
            if local[row]:
                while positions[first] < row - before:
                    first += 1
                while last < columns and positions[last] <= row + after:
                    last += 1
                while seen < global_count and seen_from[seen] <= row:
                    seen += 1
                _attend(query[row], scale, keys, scores[:seen], scores[first:last], first)
                for column in range(seen):
                    out[row, column] = scores[column]
                for column in range(first, last):
                    out[row, centre + positions[column] - row] = scores[column]

    return band_probabilities
