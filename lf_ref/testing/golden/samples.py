"""Which numbers of a large tensor a golden file keeps: some tokens and some columns, the same for every reader.

A tensor of a large model has millions of numbers. Of an axis that is longer than `WHOLE`, `KEPT` places are kept:
of the tokens global ones, those at the borders of half windows, where chunked implementations join their pieces, and
others between them; of the columns one out of each of `KEPT` equal stretches. An expected tensor is the full one at the
crossing of its kept places.
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

WHOLE, KEPT = 64, 32

Places = list[list[int] | None]  # of each axis: the kept places in order, None for all


def tokens_kept(run: Run, stream: str) -> list[int] | None:
    """Places of tokens in the sequences of a run, None for all."""
    length, one_sided = run.visible.shape[1], max(run.config.windows) // 2
    if length <= WHOLE:
        return None
    edges = [0, length - 1, *np.flatnonzero(run.is_global.any(axis=0))[:8].tolist()]
    for border in range(one_sided, length, one_sided):
        edges += [border - 1, border]
    chosen = list(dict.fromkeys(edges))[: KEPT * 3 // 4]
    return sorted({*chosen, *spread(length, KEPT - len(chosen), stream)})


def spread(length: int, count: int, stream: str) -> list[int]:
    """One place, drawn by the generator, out of each of `count` equal stretches of an axis."""
    borders = [length * part // count for part in range(count + 1)]
    drawn = words(0, stream, count)
    return [
        start + (int(word) >> 32) * (stop - start) // 2**32
        for start, stop, word in zip(borders, borders[1:], drawn, strict=False)
    ]


def places_of(name: str, shape: Sequence[int], run: Run, tokens: list[int] | None) -> Places:
    """What is kept of a tensor; tokens: of the case's sequences."""
    kept: Places = [None] * len(shape)
    if layout_of(name, run) == TOKENS:
        kept[1] = tokens
    if len(shape) > 1 and kept[-1] is None and shape[-1] > WHOLE:
        kept[-1] = spread(shape[-1], KEPT, f"columns of {shape[-1]}")
    return kept


def take(array: Array, kept: Sequence[Sequence[int] | None]) -> Array:
    """The crossing of the kept places."""
    for axis, places in enumerate(kept):
        if places is not None:
            array = np.take(array, np.asarray(places), axis=axis)
    return array


def full_index(index: Sequence[int], kept: Sequence[Sequence[int] | None]) -> tuple[int, ...]:
    """Where a number of an expected tensor is in the full one."""
    found: list[Any] = [place if places is None else places[place] for place, places in zip(index, kept, strict=True)]
    return tuple(found)
