"""Which tokens each layer computes: rows laid end to end, without padding, and without what nobody asked for.

A masked token attends to nothing and nothing attends to it, so all that ever happens to it follows from its embedding.
Of the masked tokens before and after a row's text, one of each kind (word, position, token type) is therefore enough:
usually a single padding token for the whole batch. Results are spread over all places again at the end.

Where only some tokens of the last layer are wanted, a layer is computed for those tokens alone that the layers above it
look at: a local token looks `one_sided` tokens to each side and at the global tokens, a global token at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..reference.ops import Array
from .inputs import Inputs


@dataclass(frozen=True)
class Row:
    """One row of the batch, as one layer sees it.

    tokens: the place of its n tokens among the tokens that enter the layer: a stretch of the text, and after it those
        global tokens that lie outside the stretch.
    visible: bool [n], as keys of global queries. local: bool [n], as keys of the band.
    queries: the part of the stretch whose output is wanted. globals: int64 [g], the global tokens, in order.
    global_queries: int64 [q], those of them whose output is wanted.
    """

    tokens: slice
    visible: Array
    local: Array
    queries: slice
    globals: Array
    global_queries: Array


@dataclass(frozen=True)
class Layer:
    """The tokens of one layer: `rows` of what enters, and which of the entering tokens leave it (None: all)."""

    rows: list[Row]
    leaving: Array | None

    def keep(self, entering: Array) -> Array:
        """What leaves the layer of what entered it.  # [entering, n] -> [leaving, n]"""
        return entering if self.leaving is None else entering[self.leaving]


@dataclass(frozen=True)
class Plan:
    """What is computed for a batch.

    shape: (batch, seq). source: int64 [tokens], the place in the flat batch of each token that enters the first layer.
    target: int64 [wanted], the token of each wanted place among those that leave the last layer; None: just these.
    """

    layers: list[Layer]
    shape: tuple[int, ...]
    source: Array
    target: Array | None

    def spread(self, packed: Array) -> Array:
        """What leaves a layer, at the wanted places.  # [tokens, n] -> [wanted, n]"""
        return packed if self.target is None else packed[self.target]


def plan(inputs: Inputs, one_sided: list[int], wanted: Array | None) -> Plan:
    """Decide once, for all layers, which tokens are computed and who attends to whom.

    one_sided: of each layer. wanted: int64 [n], places in the flat batch whose last hidden state is asked for; None
    for all.
    """
    places = np.arange(inputs.visible.size) if wanted is None else wanted
    texts = _texts(inputs)
    in_text = np.zeros(inputs.visible.size, bool)
    parts = []  # of each text, what enters each layer, and last what is wanted
    for text in texts:
        in_text[text.places] = True
        levels = [text.everything if wanted is None else text.part(places)]
        for reach in reversed(one_sided):
            levels.insert(0, text.looked_at(levels[0], reach))
        parts.append(levels)
    alone = places[~in_text[places]]
    kinds, kind_of = _kinds(inputs, alone)

    def flat(level: int) -> Array:
        found = [text.places.start + levels[level].positions for text, levels in zip(texts, parts, strict=True)]
        return np.concatenate([*found, kinds])

    if wanted is None:
        layers = [_layer(texts, parts, 0, len(kinds))] * len(one_sided)
    else:
        layers = [_layer(texts, parts, level, len(kinds)) for level in range(len(one_sided))]
    last = flat(len(one_sided))
    token_of = np.zeros(inputs.visible.size, np.int64)
    token_of[last] = np.arange(len(last))
    token_of[alone] = len(last) - len(kinds) + kind_of
    target = token_of[places]
    return Plan(layers, inputs.visible.shape, flat(0), None if _is_all(target, len(last)) else target)


@dataclass(frozen=True)
class _Part:
    """Tokens of a text: the stretch from start to stop, and global tokens outside it (int64, in order)."""

    start: int
    stop: int
    outside: Array

    @property
    def positions(self) -> Array:
        """Places in the text, in the order in which the tokens are laid out."""
        return np.concatenate([np.arange(self.start, self.stop), self.outside])

    def find(self, positions: Array) -> Array:
        """Where in that order these places of the text are; all of them must be there."""
        inside = (positions >= self.start) & (positions < self.stop)
        beyond = self.stop - self.start + np.searchsorted(self.outside, positions)
        return np.where(inside, positions - self.start, beyond)


@dataclass(frozen=True)
class _Text:
    """A row between its first and its last visible token. places: in the flat batch. visible, is_global: bool [n]."""

    places: slice
    visible: Array
    is_global: Array

    @property
    def everything(self) -> _Part:
        """All its tokens."""
        return _Part(0, len(self.visible), np.empty(0, np.int64))

    def part(self, places: Array) -> _Part:
        """The part that holds these places of the flat batch, as far as they are the text's."""
        positions = places[(places >= self.places.start) & (places < self.places.stop)] - self.places.start
        stretch = positions[~self.is_global[positions]]
        start, stop = (int(stretch.min()), int(stretch.max()) + 1) if len(stretch) else (0, 0)
        return self._with_globals(start, stop, positions[self.is_global[positions]])

    def looked_at(self, part: _Part, one_sided: int) -> _Part:
        """What a layer must be given so that it can compute a part."""
        if self.is_global[part.positions].any():
            return self.everything
        local = part.start + np.flatnonzero(self.visible[part.start : part.stop])
        if len(local) == 0:
            return part
        start = min(part.start, max(0, int(local[0]) - one_sided))
        stop = max(part.stop, min(len(self.visible), int(local[-1]) + one_sided + 1))
        return self._with_globals(start, stop, np.flatnonzero(self.is_global))

    def _with_globals(self, start: int, stop: int, globals_: Array) -> _Part:
        return _Part(start, stop, np.unique(globals_[(globals_ < start) | (globals_ >= stop)]))

    def row(self, entering: _Part, leaving: _Part, offset: int) -> Row:
        """The text as a layer sees it, its tokens laid out from `offset` on."""
        positions = entering.positions
        globals_ = positions[self.is_global[positions]]
        asked = leaving.positions[self.is_global[leaving.positions]]
        local = self.visible[positions] & ~self.is_global[positions]
        queries = slice(max(0, leaving.start - entering.start), leaving.stop - entering.start)
        return Row(
            slice(offset, offset + len(positions)),
            self.visible[positions],
            local,
            queries,
            entering.find(globals_),
            entering.find(asked),
        )


def _texts(inputs: Inputs) -> list[_Text]:
    length = inputs.visible.shape[1]
    texts = []
    for index, (visible, is_global) in enumerate(zip(inputs.visible, inputs.is_global, strict=True)):
        places = np.flatnonzero(visible)
        if len(places):
            first, last = int(places[0]), int(places[-1])
            span = slice(first, last + 1)
            texts.append(
                _Text(slice(index * length + first, index * length + last + 1), visible[span], is_global[span])
            )
    return texts


def _layer(texts: list[_Text], parts: list[list[_Part]], level: int, alone: int) -> Layer:
    rows, leaving, offset = [], [], 0
    for text, levels in zip(texts, parts, strict=True):
        entering, after = levels[level], levels[level + 1]
        row = text.row(entering, after, offset)
        leaving.append(offset + entering.find(after.positions))
        offset = row.tokens.stop
        rows.append(row)
    leaving.append(np.arange(offset, offset + alone))
    kept = np.concatenate(leaving)
    return Layer(rows, None if _is_all(kept, offset + alone) else kept)


def _is_all(chosen: Array, count: int) -> bool:
    return len(chosen) == count and bool((chosen == np.arange(count)).all())


def _kinds(inputs: Inputs, places: Array) -> tuple[Array, Array]:
    """One place for each kind of token at `places` of the flat batch, and the number of the kind of each."""
    if inputs.input_ids is None:  # given vectors: each may differ
        return places, np.arange(len(places))
    facts = (inputs.input_ids, inputs.position_ids, inputs.token_type_ids)
    columns = np.stack([fact.ravel()[places] for fact in facts], axis=1)
    _, index, kind_of = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    return places[index], kind_of.reshape(-1)
