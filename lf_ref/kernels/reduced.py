"""Products with weights in bfloat16 or 8-bit integers, by the processor's own instructions for them or by BLAS.

The left side is rounded to the same kind of numbers, row by row. bfloat16 products are added up in float32; those of
integers exactly, so that both ways give the same bits.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .products import linear_product, run_blocks
from .rounding import round_to_bfloat16, round_to_int8
from .threads import Threads
from .tile import ROWS
from .vectors import dots_here

__all__ = ["ReducedWeight", "reduced_product"]

Array = NDArray[Any]
FloatArray = NDArray[np.float32]

_WIDENED = 512  # rows of a weight that are float32 at a time
_EXACT = 2**24 // 127**2 // 8 * 8  # products of two int8 numbers whose sum is exact in float32


class ReducedWeight(Protocol):
    """A weight [n, m] of few bits: see `lf_ref.checkpoint.reduced`."""

    @property
    def kind(self) -> str:
        """What it is made of, "bfloat16" or "int8"."""

    @property
    def words(self) -> FloatArray:
        """[n, d], its rows as 32-bit words, filled up with zeros."""

    @property
    def numbers(self) -> Array:
        """[n, m], what it is made of: uint16, the bits of bfloat16, or int8."""

    @property
    def scales(self) -> FloatArray:
        """[n], what integers are to be multiplied by; empty for bfloat16."""

    @property
    def row_sums(self) -> NDArray[np.int32]:
        """[n], the sums of integers; empty for bfloat16."""

    def __len__(self) -> int:
        """How many rows it has."""


def reduced_product(x: Array, weight: ReducedWeight, threads: Threads) -> FloatArray:
    """x W^T, with x rounded as W is.  # [n, a], [m, a] -> float32 [n, m]"""
    x = np.ascontiguousarray(x, np.float32)
    return (_int8 if weight.kind == "int8" else _bfloat16)(x, weight, threads)


def _bfloat16(x: FloatArray, weight: ReducedWeight, threads: Threads) -> FloatArray:
    bits = np.zeros((len(x), 2 * weight.words.shape[1]), np.uint16)
    threads.rows(round_to_bfloat16, x, bits)
    out = np.empty((len(x), len(weight)), np.float32)
    if dots_here("bfloat16"):
        from .bfloat16_tiles import bfloat16_block  # compiles, or loads from the cache, at import

        run_blocks(bfloat16_block, threads, out, weight.words.shape[1], _words(bits), weight.words)
        return out
    rounded = _widened(bits[:, : x.shape[1]])
    for start in range(0, len(weight), _WIDENED):
        rows = slice(start, start + _WIDENED)
        out[:, rows] = linear_product(rounded, _widened(weight.numbers[rows]), threads)
    return out


def _int8(x: FloatArray, weight: ReducedWeight, threads: Threads) -> FloatArray:
    numbers = np.zeros((-(-len(x) // ROWS) * ROWS, 4 * weight.words.shape[1]), np.uint8)
    scales = np.empty(len(x), np.float32)
    threads.rows(round_to_int8, x, numbers, scales)
    out = np.empty((len(x), len(weight)), np.float32)
    if dots_here("int8"):
        from .int8_tiles import int8_block  # compiles, or loads from the cache, at import

        operands = _words(numbers), scales, weight.words, weight.scales, weight.row_sums
        run_blocks(int8_block, threads, out, weight.words.shape[1], *operands)
        return out
    whole = numbers[: len(x), : x.shape[1]].astype(np.float32) - np.float32(128)
    for start in range(0, len(weight), _WIDENED):
        rows = slice(start, start + _WIDENED)
        sums = np.zeros(out[:, rows].shape, np.int32)
        for first in range(0, x.shape[1], _EXACT):
            part = slice(first, first + _EXACT)
            widened = weight.numbers[rows, part].astype(np.float32)
            sums += linear_product(whole[:, part], widened, threads).astype(np.int32)
        out[:, rows] = sums.astype(np.float32) * scales[:, None] * weight.scales[rows]
    return out


def _widened(bits: Array) -> FloatArray:
    """bfloat16 as float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _words(numbers: Array) -> FloatArray:
    return numbers.view(np.float32).reshape(-1)
