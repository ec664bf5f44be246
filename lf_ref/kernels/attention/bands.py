"""Where the band kernel finds the texts: as they lie, or each as the texts that a dilated window interleaves.

The tokens of a text that are `dilation` apart form a text of their own, on which the dilated window is a plain band.
These texts lie one after another, and after them the global tokens that stand elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..layout.vectors import LANES

__all__ = ["Band", "Interleaved", "Row", "bands_of", "first_to_see", "interleave", "runs_of", "seen_by_globals"]

Array = NDArray[Any]


class Row(Protocol):
    """Where the tokens of one row of a batch lie, and who attends to whom: see `lf_ref.model.plan.Row`."""

    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def stretch(self) -> int: ...  # noqa: D102
    @property
    def positions(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def visible(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def local(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def queries(self) -> slice: ...  # noqa: D102
    @property
    def globals(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def global_queries(self) -> NDArray[np.int64]: ...  # noqa: D102


class Band(NamedTuple):
    """One text for the band kernel, which numbers its tokens from 0.

    start: the slot of the first. seen, asked: bool [n], the keys, and the queries that attend. panels: those to do.
    globals, seen_from: int64 [g], the global tokens, counted from the first slot, and the first query that sees each.
    """

    start: int
    seen: Array
    asked: Array
    panels: range
    globals: Array
    seen_from: Array


class Interleaved(NamedTuple):
    """Texts laid out for a dilated window.

    bands: the interleaved texts. order: int64 [slots], the slot where the token of each new slot lies so far. copies:
    int64 [n], new slots that hold no token. back: int64, for each slot so far the new one, 0 where nobody attends.
    """

    bands: list[Band]
    order: Array
    copies: Array
    back: Array


def bands_of(rows: Sequence[Row], causal: bool) -> list[Band]:
    """The rows as they lie; causal: nobody sees a token after it."""
    return [
        Band(
            row.start,
            row.local,
            row.local,
            range(row.queries.start // LANES, -(-row.queries.stop // LANES)),
            row.globals,
            first_to_see(row, causal, int(row.positions[0])),
        )
        for row in rows
    ]


def first_to_see(row: Row, causal: bool, first: int, dilation: int = 1) -> Array:
    """The first query that sees each global token: of those at `first`, `first + dilation` ... in the text.

    Returns int64 [g], 0 where all do.
    """
    if not causal:
        return np.zeros(len(row.globals), np.int64)
    found: Array = -((first - row.positions[row.globals]) // dilation)
    return found


def interleave(rows: Sequence[Row], dilation: int, causal: bool, slots: int, step: int) -> Interleaved:
    """Lay the rows out for a dilated window; the first of the new slots belong to no text.

    slots: of all tokens so far. step: texts begin at a multiple of it; whatever of a text is left out before a
    stretch, a token lies at the same place within the step, so that its results are the same to the bit.
    """
    bands, order, back, at = [], [np.full(step, -1)], np.zeros(slots, np.int64), step
    for row in rows:
        near, first = row.positions[: row.stretch], int(row.positions[0])
        texts, base = min(dilation, row.stretch), first // dilation // step * step
        length = -(-(int(near[-1]) // dilation - base + 1) // step) * step
        outside = np.arange(row.count - row.stretch)
        place = np.concatenate([(near - first) % dilation * length + near // dilation - base, texts * length + outside])
        source = np.full(texts * length + -(-len(outside) // step) * step, -1)
        source[place] = row.start + np.arange(row.count)
        local = np.zeros(len(source), bool)
        local[place] = row.local[: row.count]
        for text in range(texts):
            start, offset = text * length, (first + text) % dilation + base * dilation
            # The tokens of this text in the part of the stretch that is asked for.
            begin, end = (
                max(0, -((offset - first - place_) // dilation)) for place_ in (row.queries.start, row.queries.stop)
            )
            if local[start + begin : start + end].any():
                seen, panels = local[start : start + length], range(begin // LANES, -(-end // LANES))
                bands.append(
                    Band(
                        at + start,
                        seen,
                        seen,
                        panels,
                        place[row.globals] - start,
                        first_to_see(row, causal, offset, dilation),
                    )
                )
        back[row.start : row.start + row.count] = at + place
        order.append(source)
        at += len(source)
    whole = np.concatenate(order)
    return Interleaved(bands, np.maximum(whole, 0), np.flatnonzero(whole < 0), back)


def runs_of(dilations: Sequence[int]) -> Iterator[tuple[int, range]]:
    """The dilations, and the neighbouring heads that share each."""
    first = 0
    for dilation, run in groupby(dilations):
        count = sum(1 for _ in run)
        yield dilation, range(first, first + count)
        first += count


def seen_by_globals(row: Row, causal: bool) -> list[tuple[slice, Array]]:
    """Global queries of a row, and the tokens that they see.  # -> bool [n]"""
    if not causal:
        return [(slice(None), row.visible)]
    found = []
    for index, query in enumerate(row.global_queries):
        seen = row.visible.copy()
        seen[: row.count] &= row.positions <= row.positions[query]
        found.append((slice(index, index + 1), seen))
    return found
