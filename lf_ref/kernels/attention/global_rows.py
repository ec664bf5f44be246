"""The rows of the global queries: attention over all visible tokens, through projections of their own.

For a few global tokens the projections move to the other side of the sums, which costs far less than keys and values
of all tokens:

    q . (W x_j + b) = (W^T q) . x_j + constant        the softmax does not see the constant
    sum_j p_j (W x_j + b) = W (sum_j p_j x_j) + b      the p_j of a query add up to 1

A task does some heads of a row. Its tokens are done in chunks of fixed size, whose sums are combined in order, so that
the result depends on the row alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ...memory import empty
from ..jit import kernel, once, types
from ..layout.vectors import LANES, exp2, larger, load, multiply_add, spread, store, sum_lanes, top_lane

__all__ = ["CHUNK_PANELS", "ROWS", "Global", "attend_kernel", "probabilities_kernel", "worth"]

CHUNK_PANELS = 16
ROWS = 4  # of folded queries done at a time: their number is a multiple of it

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_UPPER = np.uint32(16)  # bits of a float32 above which its bfloat16 stands
_LOWEST = -1e38  # below any score, and finite: a chunk without a visible token has sums of 0


def worth(width: int, queries: int, heads: int) -> bool:
    """Whether folding takes fewer multiplications for each token than keys and values: below about width / heads."""
    return heads * queries < width + queries


def _dot(kind: str) -> Any:
    """The product of a row of a weight, as it is stored, and a vector."""

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
    def dot(row: Any, vector: Any) -> Any:
        total = vector.dtype.type(0)
        for index in range(vector.shape[0]):
            total += row[index] * vector[index]
        return total

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
    def bfloat16_dot(row: Any, vector: Any) -> Any:
        total = vector.dtype.type(0)
        for index in range(vector.shape[0]):
            total += np.uint32(np.uint32(row[index]) << _UPPER).view(np.float32) * vector[index]
        return total

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
    def int8_dot(row: Any, vector: Any) -> Any:
        total = vector.dtype.type(0)
        for index in range(vector.shape[0]):
            total += np.float32(row[index]) * vector[index]
        return total

    return {"bfloat16": bfloat16_dot, "int8": int8_dot}.get(kind, dot)


def _add_row(kind: str) -> Any:
    """Add a row of a weight, as it is stored, times a factor to a vector."""

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
    def add_row(row: Any, factor: Any, out: Any) -> None:
        for index in range(out.shape[0]):
            out[index] += row[index] * factor

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
    def add_bfloat16_row(row: Any, factor: Any, out: Any) -> None:
        for index in range(out.shape[0]):
            out[index] += np.uint32(np.uint32(row[index]) << _UPPER).view(np.float32) * factor

    @numba.njit(nogil=True, error_model="numpy", fastmath={"contract"})
    def add_int8_row(row: Any, factor: Any, out: Any) -> None:
        for index in range(out.shape[0]):
            out[index] += np.float32(row[index]) * factor

    return {"bfloat16": add_bfloat16_row, "int8": add_int8_row}.get(kind, add_row)


@once
def _fold(kind: str) -> Any:
    dot, add_row, scaled = _dot(kind), _add_row(kind), kind == "int8"

    @numba.njit(**_OPTIONS)
    def fold(x: Any, weights: Any, factor: Any, heads: tuple[int, int, int]) -> Any:
        """The queries of some heads, factor (x Q^T + bias) K.  # -> [(last - first) * g filled up, hidden]

        x: [g, hidden]; weights: `Global`; heads: the first, the one after the last, and the channels of each.
        """
        first, last, size = heads
        count = (last - first) * x.shape[0]
        out = np.zeros((-(-count // ROWS) * ROWS, x.shape[1]), x.dtype)
        for head in range(first, last):
            for row in range(x.shape[0]):
                for channel in range(head * size, (head + 1) * size):
                    value = dot(weights.query[channel], x[row])
                    if scaled:
                        value *= weights.scales[0][channel]
                    value = (value + weights.query_bias[channel]) * factor
                    if scaled:
                        value *= weights.scales[1][channel]
                    add_row(weights.key[channel], value, out[(head - first) * x.shape[0] + row])
        return out

    return fold


@numba.njit(**_OPTIONS)
def _scores(x: Any, width: int, panels: Any, folded: Any, visible: Any, scores: Any) -> None:
    """scores[panel, row] = folded[row] . x[panel], -inf for masked tokens, for a range of the row's panels.

    panels: the row's first panel of x, and from which to which.
    """
    origin, start, stop = panels
    rows, channels = folded.shape
    zero = spread(folded.dtype.type(0))
    for panel in range(start, stop):
        at = (origin + panel) * width * LANES
        to = (panel - start) * rows * LANES
        for row in range(0, rows, 4):
            a, b, c, d = zero, zero, zero, zero
            for channel in range(channels):
                value = load(x, at + channel * LANES)
                a = multiply_add(value, spread(folded[row, channel]), a)
                b = multiply_add(value, spread(folded[row + 1, channel]), b)
                c = multiply_add(value, spread(folded[row + 2, channel]), c)
                d = multiply_add(value, spread(folded[row + 3, channel]), d)
            store(a, scores, to + row * LANES)
            store(b, scores, to + (row + 1) * LANES)
            store(c, scores, to + (row + 2) * LANES)
            store(d, scores, to + (row + 3) * LANES)
        for lane in range(LANES):
            if not visible[panel * LANES + lane]:
                for row in range(rows):
                    scores[to + row * LANES + lane] = -np.inf


@numba.njit(**_OPTIONS)
def _powers(scores: Any, panels: int, rows: int, lowest: Any, tops: Any, totals: Any) -> None:
    """Overwrite the scores [panels, rows, 16] by 2**(score - the row's largest); these, and the sums of the powers."""
    for row in range(rows):
        top = spread(lowest)
        for panel in range(panels):
            top = larger(load(scores, (panel * rows + row) * LANES), top)
        tops[row] = top_lane(top)
        top, total = spread(tops[row]), spread(lowest - lowest)
        for panel in range(panels):
            power = exp2(load(scores, (panel * rows + row) * LANES) - top)
            store(power, scores, (panel * rows + row) * LANES)
            total = total + power
        totals[row] = sum_lanes(total)


@numba.njit(**_OPTIONS)
def _chunk(x: Any, width: int, panels: Any, folded: Any, visible: Any, tops: Any, totals: Any, sums: Any) -> None:
    """For each folded query: its largest score, the sum of the powers 2**(score - it), and that of power times x.

    panels: as `_scores`. tops, totals: [rows]; sums: [rows, channels].
    """
    rows, channels = folded.shape
    count = panels[2] - panels[1]
    scores = empty(count * rows * LANES, x.dtype)
    _scores(x, width, panels, folded, visible, scores)
    lowest = folded.dtype.type(_LOWEST)
    _powers(scores, count, rows, lowest, tops, totals)
    first = (panels[0] + panels[1]) * width * LANES
    zero = spread(lowest - lowest)
    for channel in range(channels):
        for row in range(0, rows, 4):
            a, b, c, d = zero, zero, zero, zero
            for panel in range(count):
                value, at = load(x, first + (panel * width + channel) * LANES), (panel * rows + row) * LANES
                a = multiply_add(value, load(scores, at), a)
                b = multiply_add(value, load(scores, at + LANES), b)
                c = multiply_add(value, load(scores, at + 2 * LANES), c)
                d = multiply_add(value, load(scores, at + 3 * LANES), d)
            sums[row, channel] = sum_lanes(a)
            sums[row + 1, channel] = sum_lanes(b)
            sums[row + 2, channel] = sum_lanes(c)
            sums[row + 3, channel] = sum_lanes(d)


@numba.njit(**_OPTIONS)
def _averages(x: Any, width: int, place: tuple[int, int], folded: Any, visible: Any, chunk: int) -> Any:
    """For each folded query the average of x, weighted by its probabilities.  # -> [rows, channels]

    place: the row's first panel of x, and how many there are. chunk: panels that are done at a time.
    """
    rows, channels = folded.shape
    tops, totals = np.full(rows, folded.dtype.type(_LOWEST)), np.zeros(rows, folded.dtype)
    average, sums = np.zeros((rows, channels), folded.dtype), np.empty((rows, channels), folded.dtype)
    some_tops, some_totals = np.empty(rows, folded.dtype), np.empty(rows, folded.dtype)
    for start in range(0, place[1], chunk):
        panels = place[0], start, min(start + chunk, place[1])
        _chunk(x, width, panels, folded, visible, some_tops, some_totals, sums)
        for row in range(rows):
            top = max(tops[row], some_tops[row])
            before, some = np.exp2(tops[row] - top), np.exp2(some_tops[row] - top)
            tops[row] = top
            totals[row] = totals[row] * before + some_totals[row] * some
            average[row] = average[row] * before + sums[row] * some
    for row in range(rows):
        average[row] /= totals[row]
    return average


class Global(NamedTuple):
    """The projections of global attention as they are stored: matrices [hidden, hidden], biases [hidden].

    scales: of the rows of query, key and value, for int8; else empty.
    """

    query: NDArray[Any]
    key: NDArray[Any]
    value: NDArray[Any]
    query_bias: NDArray[Any]
    value_bias: NDArray[Any]
    scales: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def _arguments(kind: str) -> tuple[Any, ...]:
    """Numba's types of the arguments that the kernels below share, without the result."""
    real = types.float64 if kind == "float64" else types.float32
    stored = {"bfloat16": types.uint16, "int8": types.int8}.get(kind, real)
    vector, weight = types.Array(real, 1, "C", readonly=True), types.Array(stored, 2, "C", readonly=True)
    scales = types.UniTuple(types.Array(types.float32, 1, "C", readonly=True), 3)
    projections = types.BaseTuple.from_types([weight] * 3 + [vector] * 2 + [scales], Global)
    tokens, mask = types.Array(real, 2, "C", readonly=True), types.Array(types.boolean, 1, "C", readonly=True)
    integers = types.int64, types.UniTuple(types.int64, 2), types.UniTuple(types.int64, 3)
    return (vector, *integers, tokens, projections, real, mask, real)


@once
def attend_kernel(kind: str) -> Any:
    """The kernel that computes the context of the global queries of some heads."""
    fold, dot, scaled = _fold(kind), _dot(kind), kind == "int8"
    *shared, real = _arguments(kind)

    @kernel(types.void(*shared, types.int64, types.Array(real, 2, "C")), error_model="numpy")
    def attend_globally(
        x: Any,
        width: int,
        place: tuple[int, int],
        heads: tuple[int, int, int],
        tokens: Any,
        weights: Any,
        factor: Any,
        visible: Any,
        chunk: int,
        out: Any,
    ) -> None:
        """out[g] = the averages of the values of all visible tokens, for the channels of some heads.

        x: [panels, width, 16], flat. place, chunk: see `_averages`; heads: see `_fold`. tokens: [g, hidden], those of
        the queries. factor: what turns scores into exponents of 2. visible: bool, of the row's tokens. out: as tokens.
        """
        averages = _averages(x, width, place, fold(tokens, weights, factor, heads), visible, chunk)
        first, last, size = heads
        for head in range(first, last):
            for row in range(tokens.shape[0]):
                average = averages[(head - first) * tokens.shape[0] + row]
                for channel in range(head * size, (head + 1) * size):
                    total = dot(weights.value[channel], average)
                    if scaled:
                        total *= weights.scales[2][channel]
                    out[row, channel] = total + weights.value_bias[channel]

    return attend_globally


@once
def probabilities_kernel(kind: str) -> Any:
    """The kernel that writes the probabilities of the global queries of some heads."""
    fold = _fold(kind)
    *shared, real = _arguments(kind)

    @kernel(types.void(*shared, types.Array(real, 2, "C")), error_model="numpy")
    def probabilities(
        x: Any,
        width: int,
        place: tuple[int, int],
        heads: tuple[int, int, int],
        tokens: Any,
        weights: Any,
        factor: Any,
        visible: Any,
        out: Any,
    ) -> None:
        """out = softmax of the scores over the row's visible tokens.  # -> [(last - first) * g, tokens]"""
        folded = fold(tokens, weights, factor, heads)
        rows, panels = folded.shape[0], (place[0], 0, place[1])
        scores = empty(place[1] * rows * LANES, x.dtype)
        tops, totals = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
        _scores(x, width, panels, folded, visible, scores)
        _powers(scores, place[1], rows, folded.dtype.type(_LOWEST), tops, totals)
        for row in range(out.shape[0]):
            for token in range(out.shape[1]):
                power = scores[(token // LANES * rows + row) * LANES + token % LANES]
                out[row, token] = power / totals[row]

    return probabilities
