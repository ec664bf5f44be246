"""Weights of the standard cases that the generator does not make: they bring a fault to light that others hide."""

from __future__ import annotations

import numpy as np

from ...config import LongformerConfig
from ...reference.ops import Array, Parameters
from ..generator import integers

_EMBEDDINGS = "embeddings.{}_embeddings.weight"


def larger_scores(config: LongformerConfig, weights: Parameters) -> dict[str, Array]:
    """Weights of queries and keys times 16, those of global ones too, so all scores times 256; exact in any format."""
    return {
        name: array * np.float32(16)
        for name, array in weights.items()
        if ".attention.self.query" in name or ".attention.self.key" in name
    }


def scores_far_below_zero(config: LongformerConfig, weights: Parameters) -> dict[str, Array]:
    """The first component of every query is 256 and of every key -256: each score is 65536 / sqrt(head size) lower.

    A softmax does not see this, and the masked tokens are still masked.
    """
    changed = {}
    for name, array in weights.items():
        if ".attention.self.query" in name or ".attention.self.key" in name:
            changed[name] = array.copy()
            sign = 1 if ".attention.self.query" in name else -1
            changed[name][:: config.head_dim] = sign * 256 if name.endswith(".bias") else 0
    return changed


def ties_of_bfloat16(config: LongformerConfig, weights: Parameters) -> dict[str, Array]:
    """Embeddings whose sum is exact in bfloat16 only if each is rounded to nearest, and ties to even.

    In every second column words are 192.5 + 2 a and types 193.5 + 2 b, with a, b = -1, 0 or 1: half-way between two
    bfloat16 numbers. Words round down, types up, and their sum does not change. In the other columns they are 192 + 2 a
    and 194 + 2 b, as they round to. Positions, -386 + 2 c, take nearly all of it away. Cut off, or with ties rounded up
    or away from zero, every second column is off by 1 and the layer norm makes much of it.
    """
    half = np.zeros(config.hidden_size)
    half[1::2] = 0.5
    centres = {"word": 192 + half, "token_type": 194 - half, "position": np.full(config.hidden_size, -386.0)}
    changed = {}
    for table, centre in centres.items():
        name = _EMBEDDINGS.format(table)
        shape = weights[name].shape
        steps = integers(0, name, weights[name].size, 3).reshape(shape) - 1
        changed[name] = (centre + 2 * steps).astype(np.float32)
    return changed
