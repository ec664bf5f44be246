"""Products with weights in bfloat16 or 8-bit integers, by the processor's instructions for them or in float32.

The left side is rounded to the same kind of numbers, row by row. bfloat16 products are added up in float32; those of
integers exactly, so that both ways give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .amx_here import amx_kernel
from .products import VECTOR_BLOCKS, Blocks, blocks, linear_product
from .rounding import round_to_bfloat16, round_to_int8
from .threads import Threads
from .vectors import dots_here

__all__ = ["ReducedWeight", "reduced_product", "reduced_products"]

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
    def elements(self) -> Array:
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
    return reduced_products(x, [weight], threads)[0]


def reduced_products(x: Array, weights: Sequence[ReducedWeight], threads: Threads) -> list[FloatArray]:
    """As `reduced_product` for several weights of one kind.  # [n, a], each [m, a] -> each float32 [n, m]"""
    x = np.ascontiguousarray(x, np.float32)
    return (_int8 if weights[0].kind == "int8" else _bfloat16)(x, weights, threads)


class _Way(NamedTuple):
    """How a product is made: a kernel, or None for float32; the blocks it likes; rows of x are whole steps of words."""

    kernel: Any
    blocks: Blocks
    words: int

    def room(self, x: FloatArray, weight: ReducedWeight, dtype: Any) -> Array:
        """Room for the numbers of x; what fills it up is zeros.  # [n, a] -> [at least n, at least a]"""
        rows, words = _filled(len(x), self.blocks.rows), _filled(weight.words.shape[1], self.words)
        room = np.empty((rows, words * 4 // np.dtype(dtype).itemsize), dtype)
        room[len(x) :] = room[:, x.shape[1] :] = 0
        return room

    def run(self, threads: Threads, outs: Sequence[Array], depth: int, operands: Sequence[tuple[Array, ...]]) -> None:
        """Multiply; depth: the words in a row of a weight; operands: the kernel's for each result."""
        pairs = zip(outs, operands, strict=True)
        threads.run(
            self.kernel, chain(*(blocks(threads, out, depth, *given, like=self.blocks) for out, given in pairs))
        )


def _way(kind: str) -> _Way:
    """The fastest way here."""
    if not dots_here(kind):
        return _Way(None, VECTOR_BLOCKS, 1)
    if (kernel := amx_kernel(kind)) is not None:
        from . import amx

        return _Way(kernel, amx.BLOCKS, amx.SIDE)
    # Either compiles, or loads from the cache, at import.
    if kind == "int8":
        from .int8_tiles import int8_block as block
    else:
        from .bfloat16_tiles import bfloat16_block as block
    return _Way(block, VECTOR_BLOCKS, 1)


def _bfloat16(x: FloatArray, weights: Sequence[ReducedWeight], threads: Threads) -> list[FloatArray]:
    way = _way("bfloat16")
    bits = way.room(x, weights[0], np.uint16)
    threads.rows(round_to_bfloat16, x, bits)
    outs = [np.empty((len(x), len(weight)), np.float32) for weight in weights]
    if way.kernel is not None:
        way.run(threads, outs, weights[0].words.shape[1], [(_words(bits), weight.words) for weight in weights])
        return outs
    rounded = _widened(bits[: len(x), : x.shape[1]])
    for weight, out in zip(weights, outs, strict=True):
        for start in range(0, len(weight), _WIDENED):
            rows = slice(start, start + _WIDENED)
            out[:, rows] = linear_product(rounded, _widened(weight.elements[rows]), threads)
    return outs


def _int8(x: FloatArray, weights: Sequence[ReducedWeight], threads: Threads) -> list[FloatArray]:
    way = _way("int8")
    numbers = way.room(x, weights[0], np.uint8)
    scales = np.empty(len(x), np.float32)
    threads.rows(round_to_int8, x, numbers, scales)
    outs = [np.empty((len(x), len(weight)), np.float32) for weight in weights]
    if way.kernel is not None:
        words = _words(numbers)
        way.run(
            threads,
            outs,
            weights[0].words.shape[1],
            [(words, scales, weight.words, weight.scales, weight.row_sums) for weight in weights],
        )
        return outs
    whole = numbers[: len(x), : x.shape[1]].astype(np.float32) - np.float32(128)
    for weight, out in zip(weights, outs, strict=True):
        for start in range(0, len(weight), _WIDENED):
            rows = slice(start, start + _WIDENED)
            sums = np.zeros(out[:, rows].shape, np.int32)
            for first in range(0, x.shape[1], _EXACT):
                part = slice(first, first + _EXACT)
                widened = weight.elements[rows, part].astype(np.float32)
                sums += linear_product(whole[:, part], widened, threads).astype(np.int32)
            out[:, rows] = sums.astype(np.float32) * scales[:, None] * weight.scales[rows]
    return outs


def _widened(bits: Array) -> FloatArray:
    """bfloat16 as float32."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _filled(count: int, step: int) -> int:
    return -(-count // step) * step


def _words(numbers: Array) -> FloatArray:
    return numbers.view(np.float32).reshape(-1)
