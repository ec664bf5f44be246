"""The rows of the global queries: attention over all visible tokens, through projections of their own.

For a few global tokens the projections move to the other side of the sums, which costs far less than keys and values
of all tokens:

    q . (W x_j + b) = (W^T q) . x_j + constant        the softmax does not see the constant
    sum_j p_j (W x_j + b) = W (sum_j p_j x_j) + b      the p_j of a query add up to 1

The tokens of a row are done in chunks of fixed size, whose sums are combined in order, so that the result depends on
the row alone.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ...memory import empty
from ..jit import kernel, once, types
from ..layout.vectors import LANES, exp2, larger, load, multiply_add, spread, store, sum_lanes, top_lane

__all__ = ["CHUNK_PANELS", "chunk_kernel", "combined", "fold_kernel", "probabilities_kernel", "project_kernel", "worth"]

CHUNK_PANELS = 16
ROWS = 4  # of folded queries done at a time: their number is a multiple of it

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_UPPER = np.uint32(16)  # bits of a float32 above which its bfloat16 stands
_LOWEST = -1e38  # below any score, and finite: a chunk without a visible token has sums of 0


def worth(width: int, queries: int, heads: int) -> bool:
    """Whether folding takes fewer multiplications for each token than keys and values: below about width / heads."""
    return heads * queries < width + queries


def _real(dtype: Any) -> Any:
    return types.float64 if dtype == np.float64 else types.float32


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


def _types(kind: str) -> tuple[Any, Any, Any]:
    """Numba's types of a float, of a matrix of floats, and of a weight as it is stored."""
    real = types.float64 if kind == "float64" else types.float32
    stored = {"bfloat16": types.uint16, "int8": types.int8}.get(kind, real)
    return real, types.Array(real, 2, "C"), types.Array(stored, 2, "C", readonly=True)


@once
def fold_kernel(kind: str) -> Any:
    """The kernel that projects the global tokens for one head, and folds its key projection into these queries."""
    real, matrix, weight = _types(kind)
    tokens, vector = types.Array(real, 2, "C", readonly=True), types.Array(real, 1, "C", readonly=True)
    scales = types.UniTuple(types.Array(types.float32, 1, "C", readonly=True), 2)
    dot, add_row, scaled = _dot(kind), _add_row(kind), kind == "int8"

    @kernel(types.void(tokens, weight, vector, weight, scales, real, matrix), error_model="numpy")
    def fold(x: Any, query: Any, bias: Any, key: Any, scales: Any, factor: Any, out: Any) -> None:
        """out = factor (x Q^T + bias) K.  # [g, hidden], Q and K [D, hidden], [D] -> [g, hidden]

        query, key: the head's rows of the weights as they are stored; scales: of these rows, for int8.
        """
        out[:] = 0
        for row in range(x.shape[0]):
            for channel in range(query.shape[0]):
                value = dot(query[channel], x[row])
                if scaled:
                    value *= scales[0][channel]
                value = (value + bias[channel]) * factor
                if scaled:
                    value *= scales[1][channel]
                add_row(key[channel], value, out[row])

    return fold


@once
def project_kernel(kind: str) -> Any:
    """The kernel that applies the value projection of one head to averages."""
    real, matrix, weight = _types(kind)
    averages, vector = types.Array(real, 2, "C", readonly=True), types.Array(real, 1, "C", readonly=True)
    scales = types.Array(types.float32, 1, "C", readonly=True)
    dot, scaled = _dot(kind), kind == "int8"

    @kernel(types.void(averages, weight, vector, scales, matrix), error_model="numpy")
    def project(x: Any, value: Any, bias: Any, scales: Any, out: Any) -> None:
        """out = x V^T + bias.  # [g, hidden], [D, hidden], [D] -> [g, D]; arguments as for `fold_kernel`."""
        for row in range(x.shape[0]):
            for channel in range(value.shape[0]):
                total = dot(value[channel], x[row])
                if scaled:
                    total *= scales[channel]
                out[row, channel] = total + bias[channel]

    return project


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


@once
def chunk_kernel(dtype: Any) -> Any:
    """The kernel that attends to a chunk of the tokens of a row."""
    real = _real(dtype)
    lowest = np.dtype(dtype).type(_LOWEST)
    lanes, folded = types.Array(real, 1, "C", readonly=True), types.Array(real, 2, "C", readonly=True)
    mask, out = types.Array(types.boolean, 1, "C", readonly=True), types.Array(real, 1, "C")
    signature = types.void(
        lanes, types.int64, types.UniTuple(types.int64, 3), folded, mask, out, out, types.Array(real, 2, "C")
    )

    @kernel(signature, error_model="numpy")
    def attend_chunk(
        x: Any, width: int, panels: tuple[int, int, int], folded: Any, visible: Any, tops: Any, totals: Any, sums: Any
    ) -> None:
        """For each folded query: its largest score, the sum of the powers 2**(score - it), and that of power times x.

        x: [panels, width, 16], flat. panels: as `_scores`. folded: [rows, channels], rows a multiple of 4; visible:
        bool, of the row's tokens; tops, totals: [rows]; sums: [rows, channels].
        """
        rows, channels = folded.shape
        count = panels[2] - panels[1]
        scores = empty(count * rows * LANES, x.dtype)
        _scores(x, width, panels, folded, visible, scores)
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

    return attend_chunk


@once
def probabilities_kernel(dtype: Any) -> Any:
    """The kernel that writes the probabilities of the folded queries."""
    real = _real(dtype)
    lowest = np.dtype(dtype).type(_LOWEST)
    lanes, folded = types.Array(real, 1, "C", readonly=True), types.Array(real, 2, "C", readonly=True)
    mask, out = types.Array(types.boolean, 1, "C", readonly=True), types.Array(real, 2, "C")
    signature = types.void(lanes, types.int64, types.UniTuple(types.int64, 3), folded, mask, out)

    @kernel(signature, error_model="numpy")
    def probabilities(x: Any, width: int, panels: tuple[int, int, int], folded: Any, visible: Any, out: Any) -> None:
        """out[row] = softmax of the scores, over the row's visible tokens.  # as `attend_chunk` -> [rows, tokens]"""
        rows, count = folded.shape[0], panels[2] - panels[1]
        scores = empty(count * rows * LANES, x.dtype)
        tops, totals = np.empty(rows, x.dtype), np.empty(rows, x.dtype)
        _scores(x, width, panels, folded, visible, scores)
        _powers(scores, count, rows, lowest, tops, totals)
        for row in range(rows):
            for token in range(out.shape[1]):
                power = scores[(token // LANES * rows + row) * LANES + token % LANES]
                out[row, token] = power / totals[row]

    return probabilities


def combined(tops: Any, totals: Any, sums: Any) -> Any:
    """The averages over all chunks.  # [chunks, rows], [chunks, rows], [chunks, rows, channels] -> [rows, channels]"""
    powers = np.exp2(tops - tops.max(axis=0))
    total, average = np.zeros_like(totals[0]), np.zeros_like(sums[0])
    for power, some, part in zip(powers, totals, sums, strict=True):  # in order, as `sum` along an axis need not be
        total += power * some
        average += power[:, None] * part
    average /= total[:, None]
    return average
