"""Heads of texts for the band kernels, and what these should make of them."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lf_ref.kernels import band_plain
from oracles.band import averages_of, shares_of
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16

# Sums of at most a few thousand products of numbers around 1, and an exponential: a few last places.
FLOAT64 = 1e-13
FLOAT32 = 2e-6
# A share is rounded to 8 binary digits; queries, keys and values are rounded by the oracle too.
BFLOAT16 = 2**-9 + FLOAT32


@dataclass
class Case:
    """One head of one text; the arrays are views into wider ones, as a head of a projection is."""

    query: Any
    key: Any
    value: Any
    local: Any
    global_positions: Any
    one_sided: int

    def run(self, kernel: str, cuts: tuple[int, ...] = (), dirt: float = np.nan) -> Any:
        """The whole result, computed in blocks that end at `cuts`."""
        seq, head_dim = self.query.shape
        wide = np.full((seq, 3 * head_dim), dirt, self.query.dtype)
        out = wide[:, head_dim : 2 * head_dim]
        for start, stop in zip((0, *cuts), (*cuts, seq), strict=True):
            self.run_block(kernel, start, stop, out)
        untouched = np.delete(wide, np.s_[head_dim : 2 * head_dim], axis=1)
        assert_identical(untouched, np.full_like(untouched, dirt), "the other heads")
        return out

    def run_block(self, kernel: str, start: int, stop: int, out: Any) -> None:
        block_of(kernel)(
            self.query,
            self.key,
            self.value,
            self.local,
            self.global_positions,
            self.one_sided,
            start,
            stop,
            out,
        )

    def exact(self, kernel: str) -> Case:
        """What a kernel multiplies, in float64. Queries are scaled first, so that 2**score replaces exp(score)."""
        numbers = [np.asarray(array, np.float64) for array in (self.query, self.key, self.value)]
        if kernel in ("bfloat16", "amx"):
            scale = np.float32(math.log2(math.e) / math.sqrt(self.query.shape[1]))
            numbers = [bfloat16(self.query * scale) / np.float64(scale), *map(bfloat16, numbers[1:])]
        return Case(*numbers, self.local, self.global_positions, self.one_sided)

    def expected(self, kernel: str) -> Any:
        case = self.exact(kernel)
        shares = shares_of(case.query, case.key, case.local, case.global_positions.tolist(), case.one_sided)
        return averages_of(shares, case.value)


def block_of(kernel: str) -> Any:
    if kernel == "plain":
        return band_plain.band_block
    return importlib.import_module(f"lf_ref.kernels.band_{kernel}").band_block


def make_case(marks: Any, head_dim: int, one_sided: int, seed: int, dtype: Any) -> Case:
    """marks: for each token 0 masked, 1 local, 2 global."""
    marks = np.asarray(marks)
    rng = np.random.default_rng(seed)
    wide = rng.normal(size=(3, len(marks), 3 * head_dim)).astype(dtype)
    wide.flags.writeable = False
    query, key, value = wide[:, :, head_dim : 2 * head_dim]
    return Case(query, key, value, marks == 1, np.flatnonzero(marks == 2), one_sided)


def marks_of(seq: int, masked: float, globals_: int, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    marks = np.where(rng.random(seq) < masked, 0, 1)
    marks[rng.choice(seq, globals_, replace=False)] = 2
    return marks


def tolerance_of(kernel: str, dtype: Any) -> float:
    if kernel in ("bfloat16", "amx"):
        return BFLOAT16
    return FLOAT64 if dtype == np.float64 else FLOAT32


def check(case: Case, kernel: str, got: Any) -> None:
    """Values may cancel in an average, so errors are judged by the size of the values."""
    tolerance, expected = tolerance_of(kernel, got.dtype), case.expected(kernel)
    cancelled = np.abs(case.value).max() / (np.abs(expected).max() or 1.0)
    assert_close(got, expected, tolerance * max(1.0, float(cancelled)), "averages")
