"""Band attention on tokens in lanes: scores, softmax and averages of one head and a few panels of queries at a time.

A local query attends to the global tokens of its row, wherever they stand, and to the local tokens at most `one_sided`
positions away; one softmax over both. Everything of a group of queries stays in the second-level cache:

    scores [keys, queries] = K Q^T      a softmax runs down the vectors
    context [channels, queries] = V^T P^T

Source: Beltagy, Peters, Cohan, "Longformer: The Long-Document Transformer" (arXiv 2004.05150), section 3.1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ...memory import empty
from ..jit import kernel, once, types
from ..layout.vectors import LANES, between, exp2, larger, load, pair, spread, store
from ..matmul.dispatch import microkernel
from ..matmul.microkernel import MicroKernel, values_per_word
from ..matmul.operands import ELEMENTS

__all__ = ["Keys", "Sizes", "attention_kernel", "grain"]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_QUERY_PANELS = 2  # of a group: more would compute more scores outside of the window
_LOWEST = np.float32(-1e38)  # below any score, and finite: what sees nothing gets 0 and not NaN


class Keys(NamedTuple):
    """Keys and values of all rows, flat.

    keys: [heads, tokens, depth] elements; values: [heads * width, stride] elements, a row for each channel.
    """

    keys: NDArray[Any]
    values: NDArray[Any]


class Sizes(NamedTuple):
    """head: channels of one, filled up. tokens: of `Keys.keys`. stride: of `Keys.values`, in elements.

    query_width, out_width: elements of a panel of queries and of out, for each lane.
    """

    head: int
    tokens: int
    stride: int
    query_width: int
    out_width: int


def grain(kind: str) -> int:
    """Rows begin at a multiple of so many tokens, and keys are taken so many at a time."""
    return max(LANES, microkernel(kind).step * values_per_word(kind))


@once
def attention_kernel(kind: str, in_words: bool) -> Any:
    """The kernel for "float32", "float64" or "bfloat16" values.

    in_words: write bfloat16 words, for the next product; else floats.
    """
    micro = microkernel(kind)
    rows, begin, end = micro.rows, micro.begin, micro.end
    per_word, step = values_per_word(kind), grain(kind)
    together = min(_QUERY_PANELS, micro.panels)
    element = np.dtype(ELEMENTS[kind])
    real = np.dtype(np.float64 if kind == "float64" else np.float32)
    minus_infinity, zero, one = (real.type(value) for value in (-np.inf, 0.0, 1.0))
    score, mask_scores, powers_of, average = _scores(micro), _masks(real), _powers(kind, real), _average(kind, micro)
    gather_values = _global_values_in_words if per_word == 2 else _global_values
    write = _write_words if in_words else _write_floats

    @kernel(_signature(kind, in_words), error_model="numpy")
    def attend(
        query: Any,
        keys: Any,
        masks: Any,
        global_positions: Any,
        task: tuple[int, int, int, int, int, int, int],
        sizes: Any,
        factor: Any,
        out: Any,
    ) -> None:
        """out[i] = sum_j p_j value[j], p_j = softmax of query[i] . key[j] factor log(2), over the j that query i sees.

        query: [panels, query_width, 16] elements. masks: bool [n] each, n a multiple of the grain: the keys of the row
        that are seen within the window, and the queries that attend; the others yield 0. global_positions: int64 [g],
        of the row. task: heads, from and to; the row's first token of the keys; its first panel of the queries; its
        panels to do, from and to; one_sided. out: [panels, out_width, 16]; it may be the query, of which a task reads
        what it writes.
        """
        first_head, last_head, origin, first_query, start_panel, stop_panel, one_sided = task
        seen, asked = masks
        width, depth, count, used = sizes.head, sizes.head // per_word, seen.shape[0], global_positions.shape[0]
        wide = -(-used // step) * step
        distance = (wide + min(count, 2 * one_sided + together * LANES + 2 * step) + rows) * LANES
        scores, room = empty(together * distance, real), empty(together * distance * (per_word - 1) // 2, element)
        sums, scales = empty(together * width * LANES, real), empty(together * LANES, real)
        begin()
        for head in range(first_head, last_head):
            key_at, value_at = head * sizes.tokens + origin, head * width
            global_keys = _global_keys(keys.keys, global_positions, key_at, depth, wide + rows)
            global_values = gather_values(keys.values, global_positions, value_at, width, origin, sizes.stride, wide)
            for panel in range(start_panel, stop_panel, together):
                group, position = min(together, stop_panel - panel), panel * LANES
                first = max(0, position - one_sided) // step * step
                last = min(count, -(-(position + group * LANES + one_sided) // step) * step)
                near = last - first
                panel_at = (first_query + panel) * sizes.query_width * LANES
                right, between_panels = panel_at + head * depth * LANES, sizes.query_width * LANES
                queries = right, between_panels, group
                score(global_keys, 0, wide, depth, query, queries, scores, 0, distance)
                score(keys.keys, (key_at + first) * depth, near, depth, query, queries, scores, wide * LANES, distance)
                for index in range(group):
                    base = index * distance
                    for column in range(used, wide):
                        store(spread(minus_infinity), scores, base + column * LANES)
                    query_at = position + index * LANES
                    mask_scores(scores, base + wide * LANES, seen, first, last, query_at, one_sided)
                    total = powers_of(scores, base, wide + near, factor, room)
                    store(spread(one) / total, scales, index * LANES)
                    for lane in range(LANES):
                        if not asked[query_at + lane]:
                            scales[index * LANES + lane] = zero
                blocks = (wide, near, distance)
                values_at = value_at * sizes.stride + (origin + first) // per_word
                average(global_values, keys.values, values_at, sizes.stride, width, scores, room, blocks, group, sums)
                for index in range(group):
                    place = ((first_query + panel + index) * sizes.out_width) * LANES
                    write(sums, index * width * LANES, load(scales, index * LANES), width, head, out, place)
        end()

    return attend


def _signature(kind: str, in_words: bool) -> Any:
    names = {np.float32: types.float32, np.float64: types.float64, np.int32: types.int32}
    real, integer = types.float64 if kind == "float64" else types.float32, types.int64
    operand = types.Array(names[ELEMENTS[kind]], 1, "C", readonly=True)
    return types.void(
        operand,
        types.BaseTuple.from_types([operand, operand], Keys),
        types.UniTuple(types.Array(types.boolean, 1, "C", readonly=True), 2),
        types.Array(integer, 1, "C", readonly=True),
        types.UniTuple(integer, 7),
        types.BaseTuple.from_types([integer] * 5, Sizes),
        real,
        types.Array(types.int32 if in_words else real, 1, "C"),
    )


def _scores(micro: MicroKernel) -> Any:
    tile, rows = micro.tile, micro.rows

    @numba.njit(**_OPTIONS)
    def score(
        keys: Any,
        key_at: int,
        count: int,
        depth: int,
        query: Any,
        queries: tuple[int, int, int],
        scores: Any,
        score_at: int,
        distance: int,
    ) -> None:
        """scores[panel, key] = key . query for `count` keys; fewer than a tile's rows are read beyond their end.

        queries: where the first panel begins, the elements from one to the next, how many. distance: of their scores.
        """
        right, between, group = queries
        for row in range(0, count, rows):
            start = max(0, min(row, count - rows))
            left, to = key_at + start * depth, score_at + start * LANES
            tile(keys, left, depth, left, 0, query, right, between, group, depth, False, scores, to, distance)

    return score


def _masks(real: Any) -> Any:
    minus_infinity = real.type(-np.inf)

    @numba.njit(**_OPTIONS)
    def mask_scores(scores: Any, base: int, seen: Any, first: int, last: int, query: int, one_sided: int) -> None:
        """Set to -inf the scores of the keys [first, last) of a row that the queries of one panel do not see."""
        nothing = spread(minus_infinity)
        for start in range(first, last, LANES):
            inside = start >= query + LANES - 1 - one_sided and start + LANES - 1 <= query + one_sided
            whole = True
            for key in range(start, start + LANES):
                whole = whole and seen[key]
            if not (inside and whole):
                for key in range(start, start + LANES):
                    at = base + (key - first) * LANES
                    if not seen[key]:
                        store(nothing, scores, at)
                    elif not inside:
                        near = key - one_sided - query
                        store(between(near, near + 2 * one_sided, load(scores, at), nothing), scores, at)

    return mask_scores


def _powers(kind: str, real: Any) -> Any:
    lowest, zero = real.type(_LOWEST), real.type(0.0)

    @numba.njit(**_OPTIONS)
    def largest(scores: Any, base: int, end: int) -> Any:
        top, other = spread(lowest), spread(lowest)
        for place in range(base, end, 2 * LANES):
            top = larger(load(scores, place), top)
            other = larger(load(scores, place + LANES), other)
        return larger(top, other)

    @numba.njit(**_OPTIONS)
    def powers_of(scores: Any, base: int, count: int, factor: Any, room: Any) -> Any:
        """Overwrite scores by exp2(factor (score - the largest)); their sum.  count is even."""
        end = base + count * LANES
        top, scale, even, odd = largest(scores, base, end), spread(factor), spread(zero), spread(zero)
        for place in range(base, end, 2 * LANES):
            x = exp2((load(scores, place) - top) * scale)
            y = exp2((load(scores, place + LANES) - top) * scale)
            even = even + x
            odd = odd + y
            store(x, scores, place)
            store(y, scores, place + LANES)
        return even + odd

    @numba.njit(**_OPTIONS)
    def powers_in_words(scores: Any, base: int, count: int, factor: Any, room: Any) -> Any:
        """As `powers_of`, written to room instead, as words of two neighbours."""
        end = base + count * LANES
        top, scale, even, odd = largest(scores, base, end), spread(factor), spread(zero), spread(zero)
        for place in range(base, end, 2 * LANES):
            x = exp2((load(scores, place) - top) * scale)
            y = exp2((load(scores, place + LANES) - top) * scale)
            even = even + x
            odd = odd + y
            store(pair(x, y), room, place // 2)
        return even + odd

    return powers_in_words if kind == "bfloat16" else powers_of


def _average(kind: str, micro: Any) -> Any:
    tile, rows, per_word = micro.tile, micro.rows, values_per_word(kind)

    @numba.njit(**_OPTIONS)
    def average(
        global_values: Any,
        values: Any,
        values_at: int,
        stride: int,
        width: int,
        scores: Any,
        room: Any,
        blocks: tuple[int, int, int],
        group: int,
        sums: Any,
    ) -> None:
        """sums[channel] = sum over the global keys, then the others, of value times power."""
        powers = room if per_word == 2 else scores
        wide, near, distance = blocks[0] // per_word, blocks[1] // per_word, blocks[2] // per_word
        for row in range(0, width, rows):
            start = min(row, width - rows)
            if wide:
                left = start * wide
                tile(
                    global_values,
                    left,
                    wide,
                    left,
                    0,
                    powers,
                    0,
                    distance,
                    group,
                    wide,
                    False,
                    sums,
                    start * LANES,
                    width * LANES,
                )
            left, right = values_at + start * stride, wide * LANES
            more = wide > 0
            tile(
                values,
                left,
                stride,
                left,
                0,
                powers,
                right,
                distance,
                group,
                near,
                more,
                sums,
                start * LANES,
                width * LANES,
            )

    return average


@numba.njit(**_OPTIONS)
def _global_keys(keys: Any, positions: Any, key_at: int, depth: int, room: int) -> Any:
    """The keys of the global tokens by token, with zeros at the end."""
    out = empty(room * depth, keys.dtype)
    out[:] = 0
    for index in range(positions.shape[0]):
        for k in range(depth):
            out[index * depth + k] = keys[(key_at + positions[index]) * depth + k]
    return out


@numba.njit(**_OPTIONS)
def _global_values(values: Any, positions: Any, value_at: int, width: int, origin: int, stride: int, wide: int) -> Any:
    """The values of the global tokens, a row for each channel, `wide` of them with zeros at the end."""
    out = empty(width * wide, values.dtype)
    out[:] = 0
    for channel in range(width):
        for index in range(positions.shape[0]):
            out[channel * wide + index] = values[(value_at + channel) * stride + origin + positions[index]]
    return out


@numba.njit(**_OPTIONS)
def _global_values_in_words(
    values: Any, positions: Any, value_at: int, width: int, origin: int, stride: int, wide: int
) -> Any:
    """As `_global_values`, of bfloat16 values two in a word."""
    out = empty(width * wide // 2, values.dtype)
    out[:] = 0
    target, source = out.view(np.uint16), values.view(np.uint16)
    for channel in range(width):
        for index in range(positions.shape[0]):
            target[channel * wide + index] = source[(value_at + channel) * 2 * stride + origin + positions[index]]
    return out


@numba.njit(**_OPTIONS)
def _write_floats(sums: Any, at: int, scale: Any, width: int, head: int, out: Any, place: int) -> None:
    """out = sums * scale, channel by channel."""
    for channel in range(width):
        store(load(sums, at + channel * LANES) * scale, out, place + (head * width + channel) * LANES)


@numba.njit(**_OPTIONS)
def _write_words(sums: Any, at: int, scale: Any, width: int, head: int, out: Any, place: int) -> None:
    """As `_write_floats`, rounded to bfloat16, two channels in a word."""
    for channel in range(0, width, 2):
        x, y = load(sums, at + channel * LANES) * scale, load(sums, at + (channel + 1) * LANES) * scale
        store(pair(x, y), out, place + (head * width + channel) // 2 * LANES)
