"""Matrix products cut into tasks that the kernels' own threads share.

float32 products with a weight run on register tiles, see `dot_tiles`; all others are tiles that NumPy multiplies. Its
BLAS is held to one thread meanwhile, see `threads.limit_blas`. Its own threads wait for each other in busy
loops, which costs several times the work as soon as anything else wants a CPU; and they cut long sums in other places
for other numbers of threads, so that the bits of a result would depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .threads import Threads
from .tile import ROWS

__all__ = ["VECTOR_BLOCKS", "Blocks", "blocks", "linear_product", "linear_products", "product", "products"]

Array = NDArray[Any]

_numba_config: Any = numba.config  # which has no type annotations

# A tile with more rows costs nothing beside the whole; one with more columns some hundredths; fewer columns than the
# least cost more than another thread gains.
_ROWS, _COLUMNS, _LEAST_COLUMNS = 1024, 384, 96
# Multiplications of a tile: some dozen microseconds, as long as it takes to wake a thread. And OpenBLAS adds up in
# another order below a million, so that a tile must not be small where the whole is not.
_LEAST_WORK = 1 << 21
# Tiles are whole steps of the innermost loops of a BLAS, whose remainders may round differently.
_STEP = 64

# What one task on register tiles does: it packs some of the weight for each block of rows, so these should be many.
_BLOCK_ROWS, _BLOCK_COLUMNS = 1020, 64


class Blocks(NamedTuple):
    """What the tasks of a kernel like: whole tiles of so many rows, and multiplications of words within a range.

    They should take some hundred microseconds, beside which the call from Python is nothing; those that take less than
    it takes to wake a thread are made larger, though then some threads get none. The largest have one column of tiles.
    """

    rows: int
    least: int
    most: int


VECTOR_BLOCKS = Blocks(ROWS, _LEAST_WORK, 1 << 24)


def linear_product(x: Array, weight: Array, threads: Threads) -> Array:
    """x W^T.  # [n, a], [m, a] -> [n, m]"""
    return linear_products(x, [weight], threads)[0]


def linear_products(x: Array, weights: Sequence[Array], threads: Threads) -> list[Array]:
    """x W^T for each of several weights.  # [n, a], each [m, a] -> each [n, m]"""
    if x.dtype != np.float32 or any(w.strides[1] != w.itemsize for w in weights) or _numba_config.DISABLE_JIT:
        return [product(x, weight.T, threads) for weight in weights]
    from .float32_tiles import float32_block  # compiles, or loads from the cache, at import

    outs = [np.empty((len(x), len(weight)), np.float32) for weight in weights]
    flat = np.ascontiguousarray(x).reshape(-1)
    tasks = [blocks(threads, out, weight.shape[1], flat, weight) for out, weight in zip(outs, weights, strict=True)]
    threads.run(float32_block, chain(*tasks))
    return outs


def blocks(
    threads: Threads, out: Array, depth: int, *operands: Array, like: Blocks = VECTOR_BLOCKS
) -> list[tuple[Any, ...]]:
    """The arguments of a kernel as `float32_block` for blocks that together cover the result.

    out: [n, m], C-contiguous; depth: the words in a row of the weight; operands: what the kernel takes between
    its block and the result.
    """
    cuts = _blocks(out.shape[0], out.shape[1], depth, threads.count, like)
    return [(*cut, *operands, out.reshape(-1)) for cut in cuts]


def _blocks(rows: int, columns: int, depth: int, threads: int, like: Blocks) -> list[tuple[int, int, int, int]]:
    """Rows and columns of each block: some hundred microseconds of work, and two for each thread if they stay large."""
    tall = -(-rows // (like.rows * max(1, round(rows / _BLOCK_ROWS)))) * like.rows
    parts = -(-rows // max(1, tall))

    def wide(work: float) -> int:
        return max(1, round(work)) * _BLOCK_COLUMNS

    unit = max(1, tall * depth * _BLOCK_COLUMNS)
    across = max(
        wide(like.least / unit), min(wide(like.most / unit), wide(columns * parts / (2 * threads * _BLOCK_COLUMNS)))
    )
    pieces = max(1, -(-columns // across))
    if pieces * parts > threads:  # as many for each thread, as far as whole columns of tiles allow
        pieces = next(count for count in range(pieces, pieces + threads) if count * parts % threads == 0)
    across = -(-columns // (pieces * _BLOCK_COLUMNS)) * _BLOCK_COLUMNS  # nearly equal ones
    return [
        (row, min(row + tall, rows), column, min(column + across, columns))
        for column in range(0, columns, across)
        for row in range(0, rows, max(1, tall))
    ]


def product(x: Array, y: Array, threads: Threads) -> Array:
    """x y.  # [n, a], [a, m] -> [n, m]"""
    out = np.empty((x.shape[0], y.shape[1]), x.dtype)
    tiles = _tiles(*out.shape, x.shape[1], threads.count)
    threads.run(multiply, [(x[rows], y[:, columns], out[rows, columns]) for rows, columns in tiles])
    return out


def products(x: Array, y: Array, threads: Threads) -> Array:
    """x y for each head.  # [H, n, a], [H, a, m] -> [H, n, m]"""
    out = np.empty((*x.shape[:2], y.shape[2]), x.dtype)
    threads.run(multiply, zip(x, y, out, strict=True))
    return out


def multiply(x: Array, y: Array, out: Array) -> None:
    """out = x y, on this thread.  # [..., n, a], [..., a, m], [..., n, m]

    NumPy would warn of an invalid value where OpenBLAS computes with one that it then leaves out: for vectors of 5
    float32 its AVX-512 code takes in whatever lies on the stack. So products never tell of such values.
    """
    with np.errstate(invalid="ignore"):
        np.matmul(x, y, out=out)


def _tiles(rows: int, columns: int, depth: int, threads: int) -> list[tuple[slice, slice]]:
    """Two tiles for each thread where they stay large, so that none waits long for another, else one for each.

    Columns that do not fill a step are always a tile of their own, and round the same wherever the others are cut.
    """
    whole = columns // _STEP * _STEP
    most = 1 if threads == 1 else rows * whole * depth // _LEAST_WORK
    down = max(1, min(2 * threads, rows // _ROWS, most))
    across = min(max(-(-threads // down), whole // _COLUMNS), 2 * threads // down, whole // _LEAST_COLUMNS)
    tiles = [
        (some, others) for some in _parts(rows, down) for others in _parts(whole, max(1, min(across, most // down)))
    ]
    rest = (slice(0, rows), slice(whole, columns))
    return [*(tiles if whole else []), *([rest] if whole < columns else [])]


def _parts(count: int, parts: int) -> list[slice]:
    """Nearly equal parts, at least a step and a half long each if there are several."""
    cuts = [round(part * count / (parts * _STEP)) * _STEP for part in range(1, parts)]
    return [slice(*part) for part in pairwise([0, *cuts, count])]
