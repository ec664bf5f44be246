"""From a model's scores to probabilities and to the best of them."""

from __future__ import annotations

import numpy as np

from ..reference.ops import Array


def softmax(scores: Array) -> Array:
    """Probabilities along the last axis, in float64.  # [..., n] -> [..., n]"""
    weights = np.exp(scores.astype(np.float64) - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def sigmoid(scores: Array) -> Array:
    """1 / (1 + exp(-x)) in float64, without overflow.  # [...] -> [...]"""
    scores = scores.astype(np.float64)
    small = np.exp(-np.abs(scores))
    return np.where(scores < 0, small, 1.0) / (1.0 + small)


def best(scores: Array, most: int | None = None) -> Array:
    """Places of the largest scores, the best first, of equal ones the first.  # [n] -> int64 [at most `most`]"""
    if most is None or most >= len(scores):
        return np.argsort(-scores, kind="stable")
    # Sorting a whole vocabulary would take longer than a short text in the model.
    least = np.partition(scores, len(scores) - most)[len(scores) - most]
    enough = np.flatnonzero(~(scores < least))
    return enough[np.argsort(-scores[enough], kind="stable")[:most]]
