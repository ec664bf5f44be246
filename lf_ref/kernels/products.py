"""Matrix products by NumPy's BLAS that have the same bits for any number of its threads.

OpenBLAS does not promise that. With several threads it cuts a long sum in other places, unless the sum is short enough
not to be cut at all or a multiple of the cut; and for a single row it has another routine, which adds up per thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# OpenBLAS cuts sums of float32 and float64 at 256 terms or later on all processors that it knows.
_SHORT = 256


def linear_product(x: Array, weight: Array) -> Array:
    """x W^T; the sums are as long as the model is wide, in practice a multiple of any cut.  # [n, a], [m, a]"""
    if len(x) == 1:
        return (np.concatenate([x, x]) @ weight.T)[:1]
    return x @ weight.T


def weighted_sums(shares: Array, tokens: Array) -> Array:
    """shares tokens, some tokens at a time, since their number may be any.  # [..., n, S], [..., S, a]"""
    total = shares[..., :_SHORT] @ tokens[..., :_SHORT, :]
    for start in range(_SHORT, tokens.shape[-2], _SHORT):
        total += shares[..., start : start + _SHORT] @ tokens[..., start : start + _SHORT, :]
    return total
