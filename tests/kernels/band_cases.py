"""One head of one text for the band attention, laid out for the kernel, and what it should make of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from lf_ref.kernels.attention.band import Keys, Sizes, attention_kernel, grain
from lf_ref.kernels.matmul.operands import frozen
from oracles.band import averages_of, shares_of
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16

# Sums of at most a few thousand products of values around 1, and an exponential: a few last places.
FLOAT64 = 1e-13
FLOAT32 = 2e-6
# A probability is rounded to 8 significant bits; queries, keys and values are rounded by the oracle too. The average
# is rounded once more where it is written in words.
BFLOAT16 = 2**-9 + FLOAT32
TOLERANCES = {"float64": FLOAT64, "float32": FLOAT32, "bfloat16": BFLOAT16, "words": BFLOAT16 + 2**-9}

LANES = 16
HEADS, HEAD = 3, 1  # the head among others, all of which hold dirt
SLACK = 32  # keys that a tile may read beyond the last


@dataclass
class Case:
    """One head of one text.

    query, key, value: [seq, head_dim]; local: bool [seq]; asking: bool [seq], the queries that attend, where that is
    not the local ones.
    """

    query: Any
    key: Any
    value: Any
    local: Any
    global_positions: Any
    one_sided: int
    asking: Any = None

    def run(self, kernel: str, cuts: tuple[int, ...] = (), in_place: bool = False, rows_before: int = 1) -> Any:
        """The averages [seq, head_dim], computed in tasks that end at the panels `cuts`.

        Around the text lie other texts, heads and panels: all of them NaN, and none of them written to. in_place: the
        averages replace the queries. rows_before: by how many times the grain the text is preceded.
        """
        kind = "bfloat16" if kernel == "words" else kernel
        seq, head_dim = self.query.shape
        count, before, width = -(-seq // grain(kind)) * grain(kind), rows_before * grain(kind), -(-head_dim // 32) * 32
        tokens, panels = before + count + grain(kind), count // LANES + 2
        query = spoiled(kind, (panels * LANES, HEADS, width))
        keys, values = spoiled(kind, (HEADS * tokens + SLACK, width)), spoiled(kind, (HEADS, width, tokens + SLACK))
        used = [slice(LANES, LANES + count), HEAD * tokens + before + np.arange(count)]
        query[used[0], HEAD] = filled(kind, self.query, count, width)
        keys[used[1]] = filled(kind, self.key, count, width)
        values[HEAD, :, before : before + count] = filled(kind, self.value, count, width).T
        lanes = to_lanes(query.reshape(len(query), -1))
        # Words are written, or floats: into the queries' place or another.
        out = lanes.copy() if in_place or kernel == "words" else spoiled_out(kernel, panels, HEADS * width)
        sizes = Sizes(width, tokens, elements(values[HEAD]).shape[1], lanes.shape[1], out.shape[1])
        masks = [np.zeros(count, bool) for _ in range(2)]
        for mask, given in zip(masks, (self.local, self.local if self.asking is None else self.asking), strict=True):
            mask[:seq] = given
        before_it = out.copy()
        for start, stop in pairwise((0, *cuts, count // LANES)):
            attention_kernel(kind, kernel == "words")(
                frozen(out.reshape(-1) if in_place else lanes.reshape(-1)),
                Keys(frozen(elements(keys).reshape(-1)), frozen(elements(values).reshape(-1))),
                (frozen(masks[0]), frozen(masks[1])),
                frozen(np.asarray(self.global_positions, np.int64)),
                (HEAD, HEAD + 1, before, 1, start, stop, self.one_sided),
                sizes,
                (np.float64 if kind == "float64" else np.float32)(math.log2(math.e) / math.sqrt(head_dim)),
                out.reshape(-1),
            )
        by_token = from_lanes(out, kernel == "words").reshape(len(out) * LANES, HEADS, width)
        untouched = from_lanes(before_it, kernel == "words").reshape(by_token.shape)
        untouched[used[0], HEAD] = by_token[used[0], HEAD]
        assert_identical(by_token, untouched, "other heads and panels")
        result = by_token[used[0], HEAD]
        assert not result[seq:].any(), "what fills up the last panel attends to nothing"
        return result[:seq, :head_dim].copy()

    def exact(self, kernel: str) -> Case:
        """What a kernel multiplies, in float64."""
        arrays = [np.asarray(array, np.float64) for array in (self.query, self.key, self.value)]
        if kernel in ("bfloat16", "words"):
            arrays = [bfloat16(array) for array in arrays]
        return replace(self, query=arrays[0], key=arrays[1], value=arrays[2])

    def expected(self, kernel: str) -> Any:
        case = self.exact(kernel)
        shares = shares_of(case.query, case.key, case.local, case.global_positions.tolist(), case.one_sided)
        return averages_of(shares, case.value)


def bits_of(values: Any) -> Any:
    """The upper halves of float32 values that are rounded to bfloat16."""
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def spoiled(kind: str, shape: tuple[int, ...]) -> Any:
    """An array of NaN, of bfloat16 as their bits."""
    if kind == "bfloat16":
        return bits_of(np.full(shape, np.nan))
    return np.full(shape, np.nan, kind)


def filled(kind: str, rows: Any, count: int, width: int) -> Any:
    """Rows [seq, channels] filled up with copies of the last row, and with channels of zeros."""
    out = np.zeros((count, width), np.float64 if kind == "float64" else np.float32)
    with np.errstate(invalid="ignore"):
        out[:, : rows.shape[1]] = np.concatenate([rows, np.repeat(rows[-1:], count - len(rows), axis=0)])
        return bits_of(bfloat16(out)) if kind == "bfloat16" else out


def elements(array: Any) -> Any:
    """What a kernel multiplies: of bfloat16 two in a word."""
    return array.view(np.int32) if array.dtype == np.uint16 else array


def to_lanes(rows: Any) -> Any:
    """[16 panels, channels] -> [panels, elements, 16]"""
    rows = elements(np.ascontiguousarray(rows))
    return np.ascontiguousarray(rows.reshape(-1, LANES, rows.shape[1]).swapaxes(1, 2))


def from_lanes(lanes: Any, words: bool) -> Any:
    """[panels, elements, 16] -> [16 panels, channels]"""
    rows = np.ascontiguousarray(lanes.swapaxes(1, 2)).reshape(len(lanes) * LANES, -1)
    return (rows.view(np.uint16).astype(np.uint32) << 16).view(np.float32) if words else rows


def spoiled_out(kernel: str, panels: int, channels: int) -> Any:
    return np.full((panels, channels, LANES), np.nan, np.float64 if kernel == "float64" else np.float32)


def make_case(marks: Any, head_dim: int, one_sided: int, seed: int) -> Case:
    """marks: for each token 0 masked, 1 local, 2 global. Values are those of float32, so that all kernels hold them."""
    marks = np.asarray(marks)
    query, key, value = np.random.default_rng(seed).normal(size=(3, len(marks), head_dim)).astype(np.float32)
    return Case(query, key, value, marks == 1, np.flatnonzero(marks == 2), one_sided)


def marks_of(seq: int, masked: float, globals_: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    marks = np.where(rng.random(seq) < masked, 0, 1)
    marks[rng.choice(seq, globals_, replace=False)] = 2
    return marks


def check(case: Case, kernel: str, got: Any, expected: Any = None) -> None:
    """Values may cancel in an average, so errors are judged by the size of the values."""
    expected = case.expected(kernel) if expected is None else expected
    cancelled = np.abs(case.value).max() / (np.abs(expected).max() or 1.0)
    assert_close(got, expected, TOLERANCES[kernel] * max(1.0, float(cancelled)), "averages")
