"""Band attention of one head in scalar loops: who sees whom, one softmax, a weighted sum.

The rule as the paper states it (arXiv 2004.05150, section 3.1): a local token sees the global tokens, which
may be anywhere, and the local tokens at most `one_sided` away; causal, none of those after it. Imports nothing of the
program under test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def shares_of(
    query: NDArray[np.float64],
    key: NDArray[np.float64],
    local: Sequence[bool],
    global_positions: Sequence[int],
    one_sided: int,
    causal: bool = False,
) -> list[dict[int, float]]:
    """For each token, key position -> probability; empty for a token that is not local.

    query, key: (seq, head_dim), not scaled.
    """
    seq, head_dim = query.shape
    rows: list[dict[int, float]] = []
    for i in range(seq):
        seen = [j for j in range(seq) if j in global_positions or (local[j] and abs(i - j) <= one_sided)]
        if not local[i]:
            seen = []
        if causal:
            seen = [j for j in seen if j <= i]
        scores = {
            j: math.fsum(float(query[i, d]) * float(key[j, d]) for d in range(head_dim)) / math.sqrt(head_dim)
            for j in seen
        }
        top = max(scores.values(), default=0.0)
        weights = {j: math.exp(score - top) for j, score in scores.items()}
        total = math.fsum(weights.values())
        rows.append({j: weight / total for j, weight in weights.items()})
    return rows


def averages_of(shares: Sequence[dict[int, float]], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values each token sees, weighted by their attention probabilities.  # (seq, head_dim) -> (seq, head_dim)"""
    out = np.zeros(value.shape, np.float64)
    for i, row in enumerate(shares):
        for d in range(value.shape[1]):
            out[i, d] = math.fsum(share * float(value[j, d]) for j, share in row.items())
    return out


def band_layout(
    shares: Sequence[dict[int, float]],
    global_positions: Sequence[int],
    columns: int,
    one_sided: int,
    dilation: int = 1,
) -> NDArray[np.float64]:
    """Hugging Face's layout of the probabilities: `columns` for global tokens, then the window."""
    out = np.zeros((len(shares), columns + 2 * one_sided + 1), np.float64)
    for i, row in enumerate(shares):
        for j, share in row.items():
            if j in global_positions:
                out[i, list(global_positions).index(j)] = share
            else:
                step, rest = divmod(j - i, dilation)
                assert rest == 0
                out[i, columns + one_sided + step] = share
    return out


def dense_averages(
    query: NDArray[np.float64],
    key: NDArray[np.float64],
    value: NDArray[np.float64],
    local: NDArray[np.bool_],
    global_positions: NDArray[np.int64],
    one_sided: int,
) -> NDArray[np.float64]:
    """As `averages_of` of `shares_of`, in matrices of all pairs: for texts too long for scalar loops."""
    positions = np.arange(len(query))
    seen = local[None, :] & (np.abs(positions[:, None] - positions) <= one_sided)
    seen[:, global_positions] = True
    seen &= local[:, None]
    scores = np.where(seen, query @ key.T / math.sqrt(query.shape[1]), -np.inf)
    scores[~local] = 0.0
    powers = np.where(seen, np.exp(scores - scores.max(axis=1, keepdims=True)), 0.0)
    totals = powers.sum(axis=1, keepdims=True)
    return (powers @ value) / np.where(totals == 0.0, 1.0, totals)
