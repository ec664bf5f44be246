"""The windows of a text that is longer than the model: what each of them adds, and one result from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..reference.ops import Array

AGGREGATIONS = ("mean", "max")


def new_tokens(windows: Sequence[slice]) -> list[int]:
    """How many of its tokens each window does not share with the one before it; together they are all of the text.

    windows: slices of the text's tokens, in order.

    >>> new_tokens([slice(0, 10), slice(6, 16), slice(12, 19)])
    [10, 6, 3]
    """
    stops = [window.stop for window in windows]
    return [stop - before for before, stop in zip([windows[0].start, *stops], stops, strict=False)]


def counted_positions(windows: Sequence[slice]) -> list[slice]:
    """The positions of each window's row, `<s> window </s>`, whose states count for the text.

    Together they are one state for each token of `<s> text </s>`: of a token that several windows hold that of the
    window in which it stands furthest from an edge (of equals the one nearer to the text's beginning), `<s>` of the
    window at the beginning, `</s>` of that at the end.

    windows: as for `new_tokens`.

    >>> counted_positions([slice(0, 10), slice(6, 16), slice(12, 19)])
    [slice(0, 9, None), slice(3, 9, None), slice(3, 9, None)]
    """
    # Neighbours divide what they share in the middle. All windows but one at an end are equally long, so where three
    # overlap, a token is nearest to the middle of the one that has it by this rule.
    middles = [(after.start + before.stop + 1) // 2 for before, after in pairwise(windows)]
    # As tokens of the text, <s> is the one before it, and </s> the one behind it.
    edges = [windows[0].start - 1, *middles, windows[-1].stop + 1]
    return [
        slice(first - window.start + 1, last - window.start + 1)
        for window, (first, last) in zip(windows, pairwise(edges), strict=True)
    ]


def aggregate(logits: Array, new: Sequence[int], aggregation: str) -> Array:
    """The logits of a text from those of its windows: the mean, weighted by new tokens, or the largest.

    logits: float [windows, ...]; new: of `new_tokens`; aggregation: one of `AGGREGATIONS`.
    Returns float64 [...]; the logits of a single window as they are.
    """
    logits = np.asarray(logits, np.float64)
    if aggregation == "max" or len(logits) == 1:
        return logits.max(axis=0)
    return np.average(logits, axis=0, weights=new)
