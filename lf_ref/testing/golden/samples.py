"""Samples of large tensors: the tokens and columns that a golden file stores, the same for every reader.

A tensor of a large model has millions of elements. Of an axis longer than `WHOLE_AXIS`, `SAMPLE_SIZE` indices are
stored: of the tokens the global ones, those at the borders of half windows, where chunked implementations join their
chunks, and others between them; of the columns one out of each of `SAMPLE_SIZE` equal ranges, but of columns that are
global tokens all. An expected tensor is the full one at all combinations of its indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...reference.ops import Array
from ..generator import words
from ..traces.metadata import Run
from ..traces.tensor_names import BAND, COLUMNS, TOKENS
from ..traces.valid_elements import layout_of

WHOLE_AXIS, SAMPLE_SIZE = 64, 32
_POSITIONS = {TOKENS: (1,), BAND: (2, 3), COLUMNS: (2,)}  # the axes of tokens, that of the queries first

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
    layout = layout_of(name, run)
    if layout in _POSITIONS:
        stored[_POSITIONS[layout][0]] = tokens
    if len(shape) > 1 and stored[-1] is None and shape[-1] > WHOLE_AXIS and layout != COLUMNS:
        stored[-1] = stratified_sample(shape[-1], SAMPLE_SIZE, f"columns of {shape[-1]}")
    return stored


def lacks_positions(name: str, run: Run, stored: Indices) -> bool:
    """Whether only some tokens, or some keys of an attention map, are stored of a tensor."""
    return any(stored[axis] is not None for axis in _POSITIONS.get(layout_of(name, run) or "", ()))


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
