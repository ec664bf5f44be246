"""Longformer's self-attention of one layer for one text, in scalar loops over Python floats.

The rule as the paper states it (arXiv 2004.05150, section 3): a local token sees the tokens of its window and the
global ones; a global token sees every token through projections of its own. Nothing is vectorised, no mask is added to
a score: what a token does not see is simply not in its list of keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Vector = list[float]


@dataclass
class Attended:
    """What one layer's attention gives for one text.

    output: (seq, hidden) before the output projection; zeros for a masked token.
    probabilities[head][query]: key position -> probability, for each key the query sees; empty for a masked query.
    """

    output: list[Vector]
    probabilities: list[list[dict[int, float]]]


def keys_seen(
    query: int,
    visible: Sequence[bool],
    is_global: Sequence[bool],
    one_sided: int,
    dilation: int = 1,
    causal: bool = False,
) -> list[int]:
    """The positions a query attends to: none if masked, all visible ones if global, else the band and the globals.

    The band has one_sided tokens on each side, `dilation` apart; if causal, nothing after the query is seen.
    """
    seen = [position for position in range(len(visible)) if visible[position] and not (causal and position > query)]
    if not visible[query]:
        return []
    if is_global[query]:
        return seen
    band = {query + dilation * step for step in range(-one_sided, one_sided + 1)}
    return [key for key in seen if is_global[key] or key in band]


def attend(
    hidden: Sequence[Sequence[float]],
    weights: Mapping[str, Any],
    visible: Sequence[bool],
    is_global: Sequence[bool],
    one_sided: int,
    heads: int,
    dilations: Sequence[int] | None = None,
    causal: bool = False,
) -> Attended:
    """One softmax over the keys each token sees, then the weighted sum of their values.

    hidden: (seq, width). weights: `query.weight` (width, width), `query.bias` (width,), and the same for key, value,
    query_global, key_global, value_global, as torch's Linear stores them (output, input). A masked token is not global.
    dilations: of each head, 1 where there are none.
    """
    seq, width = len(hidden), len(hidden[0])
    head_dim = width // heads
    maps = ("query", "key", "value", "query_global", "key_global", "value_global")
    projected = {name: linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in maps}
    is_global = [bool(flag and seen) for flag, seen in zip(is_global, visible, strict=True)]
    output = [[0.0] * width for _ in range(seq)]
    probabilities: list[list[dict[int, float]]] = [[{} for _ in range(seq)] for _ in range(heads)]
    for head in range(heads):
        columns = range(head * head_dim, (head + 1) * head_dim)
        for query in range(seq):
            keys = keys_seen(query, visible, is_global, one_sided, dilations[head] if dilations else 1, causal)
            if not keys:
                continue
            suffix = "_global" if is_global[query] else ""
            asking = [projected["query" + suffix][query][column] / math.sqrt(head_dim) for column in columns]
            scores = []
            for key in keys:
                answering = projected["key" + suffix][key]
                scores.append(math.fsum(a * answering[c] for a, c in zip(asking, columns, strict=True)))
            shares = _softmax(scores)
            probabilities[head][query] = dict(zip(keys, shares, strict=True))
            for column in columns:
                values = [projected["value" + suffix][key][column] for key in keys]
                output[query][column] = math.fsum(p * v for p, v in zip(shares, values, strict=True))
    return Attended(output, probabilities)


def linear(rows: Sequence[Sequence[float]], weight: Any, bias: Any) -> list[Vector]:
    """x W^T + b of each row, with the weight as torch stores it."""
    result = []
    for row in rows:
        row = [float(value) for value in row]
        result.append(
            [
                math.fsum(value * float(factor) for value, factor in zip(row, line, strict=True)) + float(offset)
                for line, offset in zip(weight, bias, strict=True)
            ]
        )
    return result


def _softmax(scores: Sequence[float]) -> list[float]:
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    total = math.fsum(powers)
    return [power / total for power in powers]
