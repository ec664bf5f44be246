"""The pooling modes of sentence-transformers: from the states of a text's tokens to one vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import InputError
from ..reference.ops import Array

# Each takes the states of all tokens, [tokens, hidden], and how many of the first, those of the prompt, to leave out.
_MODES: dict[str, Callable[[Array, int], Array]] = {
    "cls": lambda states, skipped: states[skipped],
    "max": lambda states, skipped: states[skipped:].max(axis=0),
    "mean": lambda states, skipped: states[skipped:].mean(axis=0),
    "mean_sqrt_len_tokens": lambda states, skipped: states[skipped:].sum(axis=0) / np.sqrt(len(states) - skipped),
    "weightedmean": lambda states, skipped: _weighted_mean(states, skipped),
    "lasttoken": lambda states, skipped: states[-1],
}
MODES = tuple(_MODES)


def pool(states: Array, modes: Sequence[str], skipped: int = 0) -> Array:
    """Pool the states of the tokens of one text into a vector; the vectors of several modes are joined.

    Sums are in float64, and the vector depends on no other text, so that it is the same in any batch.

    Args:
        states: float (tokens, hidden), of every token of the text, special ones included, without padding.
        modes: one or several of `MODES`: "cls" is the first token, "lasttoken" the last; "mean_sqrt_len_tokens" the sum
            over the square root of the number of tokens; "weightedmean" weights each token by its position from 1.
        skipped: how many of the first tokens to leave out; positions still count them.

    Returns:
        float64 (len(modes) * hidden,).

    Raises:
        InputError: no token is left.
    """
    if skipped >= len(states):
        raise InputError(f"all {len(states)} tokens of a text are left out as its prompt, so that none is left to pool")
    exact = states.astype(np.float64)
    return np.concatenate([_MODES[mode](exact, skipped) for mode in modes])


def _weighted_mean(states: Array, skipped: int) -> Array:
    weights = np.arange(skipped + 1, len(states) + 1, dtype=np.float64)
    return weights @ states[skipped:] / weights.sum()
