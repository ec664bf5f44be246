"""Which tokens of a batch are computed: rows laid end to end, without the padding around them.

A masked token attends to nothing and nothing attends to it, so all that ever happens to it follows from its embedding.
Of the masked tokens before and after a row's text, one of each kind (word, position, token type) is therefore enough:
usually a single padding token for the whole batch. Results are spread over all places again at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..reference.ops import Array
from .inputs import Inputs


@dataclass(frozen=True)
class Row:
    """One row of the batch, from its first visible token to its last.

    tokens: its place among the packed tokens. first: its first token's place in the sequence. visible, local (visible
    and not global): bool [n]. globals: int64 [g], places counted from `first`.
    """

    tokens: slice
    first: int
    visible: Array
    local: Array
    globals: Array


@dataclass(frozen=True)
class Packing:
    """The packed tokens of a batch.

    rows: number and row, of those with any visible token. shape: (batch, seq). source: int64 [tokens], the place of
    each packed token in the flat batch. target: int64 [batch * seq], the packed token of each place, or None where
    nothing was left out.
    """

    rows: list[tuple[int, Row]]
    shape: tuple[int, int]
    source: Array
    target: Array | None

    def unpack(self, packed: Array) -> Array:
        """Spread packed results over the batch.  # [tokens, n] -> [batch, seq, n]"""
        spread = packed if self.target is None else packed[self.target]
        return spread.reshape(*self.shape, -1)


def pack(inputs: Inputs) -> Packing:
    """Decide once, for all layers, which tokens are computed and who attends to whom."""
    batch, length = inputs.visible.shape
    inside = np.zeros((batch, length), bool)
    rows: list[tuple[int, Row]] = []
    tokens = 0
    for index, (visible, is_global) in enumerate(zip(inputs.visible, inputs.is_global, strict=True)):
        places = np.flatnonzero(visible)
        if len(places) == 0:
            continue
        span = slice(int(places[0]), int(places[-1]) + 1)
        inside[index, span] = True
        stop = tokens + span.stop - span.start
        local = visible[span] & ~is_global[span]
        row = Row(slice(tokens, stop), span.start, visible[span], local, np.flatnonzero(is_global[span]))
        rows.append((index, row))
        tokens = stop
    outside = np.flatnonzero(~inside.ravel())
    if len(outside) == 0:
        return Packing(rows, (batch, length), np.arange(tokens), None)
    kinds, kind_of = _kinds(inputs, outside)
    source = np.concatenate([np.flatnonzero(inside.ravel()), kinds])
    target = np.empty(batch * length, np.int64)
    target[source[:tokens]] = np.arange(tokens)
    target[outside] = tokens + kind_of
    return Packing(rows, (batch, length), source, target)


def _kinds(inputs: Inputs, places: Array) -> tuple[Array, Array]:
    """One place for each kind of token at `places` of the flat batch, and the number of the kind of each."""
    if inputs.input_ids is None:  # given vectors: each may differ
        return places, np.arange(len(places))
    facts = (inputs.input_ids, inputs.position_ids, inputs.token_type_ids)
    columns = np.stack([fact.ravel()[places] for fact in facts], axis=1)
    _, index, kind_of = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    return places[index], kind_of.reshape(-1)
