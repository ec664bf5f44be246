"""Weights of the standard cases that replace those of the generator, to detect faults that random weights hide."""

from __future__ import annotations

import numpy as np

from ...config import LongformerConfig
from ...reference.ops import Array, Parameters
from ..generator import integers

_EMBEDDINGS = "embeddings.{}_embeddings.weight"


def larger_scores(config: LongformerConfig, weights: Parameters) -> dict[str, Array]:
    """Query and key weights times 16, global ones too, so all scores times 256; exact in every format."""
    return {
        name: array * np.float32(16)
        for name, array in weights.items()
        if ".attention.self.query" in name or ".attention.self.key" in name
    }


def scores_far_below_zero(config: LongformerConfig, weights: Parameters) -> dict[str, Array]:
    """The first component of each query is 256 and of each key -256: all scores are 65536 / sqrt(head size) lower.

    This does not change a correct softmax, and masked tokens stay masked.
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

    In every second column, word embeddings are 192.5 + 2 a and type embeddings 193.5 + 2 b, with a, b = -1, 0 or 1:
    half-way between two bfloat16 values. Words round down, types up, and their sum does not change. In the other
    columns they are already rounded, 192 + 2 a and 194 + 2 b. Position embeddings, -386 + 2 c, cancel most of the sum.
    With truncation, or with ties rounded up or away from zero, every second column is off by 1, which the layer norm
    amplifies.
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
