"""Matrix products cut into tiles that the kernels' own threads share.

NumPy's BLAS is held to one thread meanwhile, see `threads.limit_blas`. Its own threads wait for each other in busy
loops, which costs several times the work as soon as anything else wants a CPU; and they cut long sums in other places
for other numbers of threads, so that the bits of a result would depend on it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .threads import Threads

__all__ = ["linear_product", "product", "products"]

Array = NDArray[Any]

# A tile with more rows costs nothing beside the whole; one with more columns some hundredths; fewer columns than the
# least cost more than another thread gains.
_ROWS, _COLUMNS, _LEAST_COLUMNS = 1024, 384, 96
# Multiplications of a tile: some dozen microseconds, as long as it takes to wake a thread. And OpenBLAS adds up in
# another order below a million, so that a tile must not be small where the whole is not.
_LEAST_WORK = 1 << 21
# Tiles are whole steps of the innermost loops of a BLAS, whose remainders may round differently.
_STEP = 64


def linear_product(x: Array, weight: Array, threads: Threads) -> Array:
    """x W^T.  # [n, a], [m, a] -> [n, m]"""
    return product(x, weight.T, threads)


def product(x: Array, y: Array, threads: Threads) -> Array:
    """x y.  # [n, a], [a, m] -> [n, m]"""
    out = np.empty((x.shape[0], y.shape[1]), x.dtype)
    tiles = _tiles(*out.shape, x.shape[1], threads.count)
    threads.run(_multiply, [(x[rows], y[:, columns], out[rows, columns]) for rows, columns in tiles])
    return out


def products(x: Array, y: Array, threads: Threads) -> Array:
    """x y for each head.  # [H, n, a], [H, a, m] -> [H, n, m]"""
    out = np.empty((*x.shape[:2], y.shape[2]), x.dtype)
    threads.run(_multiply, zip(x, y, out, strict=True))
    return out


def _multiply(x: Array, y: Array, out: Array) -> None:
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
