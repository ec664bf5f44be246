"""Samples of large tensors: the tokens and columns that a golden file stores, the same for every reader.

A tensor of a large model has millions of elements. Of an axis longer than `WHOLE_AXIS`, `SAMPLE_SIZE` indices are
stored: of the tokens the global ones, those at the borders of half windows, where chunked implementations join their
chunks, and others between them; of the columns one out of each of `SAMPLE_SIZE` equal ranges. An expected tensor is the
full one at all combinations of its indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...reference.ops import Array
from ..generator import words
from ..traces.metadata import Run
from ..traces.tensor_names import TOKENS
from ..traces.valid_elements import layout_of

WHOLE_AXIS, SAMPLE_SIZE = 64, 32

Indices = list[list[int] | None]  # of each axis: the stored indices in order, None for all


def sampled_tokens(run: Run, stream: str) -> list[int] | None:
    """The stored tokens in the sequences of a run, None for all."""
    length, one_sided = run.visible.shape[1], max(run.config.windows) // 2
    if length <= WHOLE_AXIS:
        return None
    edges = [0, length - 1, *np.flatnonzero(run.is_global.any(axis=0))[:8].tolist()]
    for border in range(one_sided, length, one_sided):
        edges += [border - 1, border]
    chosen = list(dict.fromkeys(edges))[: SAMPLE_SIZE * 3 // 4]
    return sorted({*chosen, *stratified_sample(length, SAMPLE_SIZE - len(chosen), stream)})


def stratified_sample(length: int, count: int, stream: str) -> list[int]:
    """One index out of each of `count` equal ranges of an axis, chosen by the generator."""
    borders = [length * part // count for part in range(count + 1)]
    drawn = words(0, stream, count)
    return [
        start + (int(word) >> 32) * (stop - start) // 2**32
        for start, stop, word in zip(borders, borders[1:], drawn, strict=False)
    ]


def sampled_indices(name: str, shape: Sequence[int], run: Run, tokens: list[int] | None) -> Indices:
    """The stored indices of a tensor; tokens: those of the case's sequences."""
    stored: Indices = [None] * len(shape)
    if layout_of(name, run) == TOKENS:
        stored[1] = tokens
    if len(shape) > 1 and stored[-1] is None and shape[-1] > WHOLE_AXIS:
        stored[-1] = stratified_sample(shape[-1], SAMPLE_SIZE, f"columns of {shape[-1]}")
    return stored


def take_sample(array: Array, stored: Sequence[Sequence[int] | None]) -> Array:
    """The elements at all combinations of the indices."""
    for axis, indices in enumerate(stored):
        if indices is not None:
            array = np.take(array, np.asarray(indices), axis=axis)
    return array


def full_index(index: Sequence[int], stored: Sequence[Sequence[int] | None]) -> tuple[int, ...]:
    """The index in the full tensor for an index in its sample."""
    found: list[Any] = [
        position if indices is None else indices[position] for position, indices in zip(index, stored, strict=True)
    ]
    return tuple(found)
