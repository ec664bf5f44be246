"""The tokens that each layer computes: rows end to end, without padding, and without tokens that no output needs.

A masked token attends to nothing and nothing attends to it, so its hidden states depend on its embedding alone.
Of the masked tokens before and after a row's text, one of each kind (word, position, token type) is therefore enough:
usually a single padding token for the whole batch. At the end the results are copied to all positions.

Where only some tokens of the last layer are wanted, a layer computes only the tokens that the layers above
it attend to: a local token attends to `one_sided` tokens on each side and to the global tokens, a global token to all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..reference.ops import Array
from .inputs import Inputs


@dataclass(frozen=True)
class Row:
    """One row of the batch in one layer.

    tokens: the slice of its n tokens among the tokens that enter the layer: a stretch of the text, and after it those
        global tokens that lie outside the stretch.
    visible: bool [n], as keys of global queries. local: bool [n], as keys of the band.
    queries: the part of the stretch whose output is needed. globals: int64 [g], the global tokens, in order.
    global_queries: int64 [q], those of them whose output is needed.
    """

    tokens: slice
    visible: Array
    local: Array
    queries: slice
    globals: Array
    global_queries: Array


@dataclass(frozen=True)
class Layer:
    """The tokens of one layer: the `rows` that enter it, and the indices of the tokens that leave it (None: all)."""

    rows: list[Row]
    leaving: Array | None

    def keep(self, entering: Array) -> Array:
        """The entering tokens that leave the layer.  # [entering, n] -> [leaving, n]"""
        return entering if self.leaving is None else entering[self.leaving]


@dataclass(frozen=True)
class Plan:
    """The computation for a batch.

    shape: (batch, seq). source: int64 [tokens], the flat index of each token that enters the first layer.
    target: int64 [wanted], for each wanted token, its index among those that leave the last layer; None: the same.
    """

    layers: list[Layer]
    shape: tuple[int, ...]
    source: Array
    target: Array | None

    def spread(self, packed: Array) -> Array:
        """The values of the wanted tokens.  # [tokens, n] -> [wanted, n]"""
        return packed if self.target is None else packed[self.target]


def plan(inputs: Inputs, one_sided: list[int], wanted: Array | None) -> Plan:
    """Decide once, for all layers, which tokens are computed and who attends to whom.

    one_sided: of each layer. wanted: int64 [n], flat indices of the tokens whose last hidden state is needed;
    None for all.
    """
    indices = np.arange(inputs.visible.size) if wanted is None else wanted
    texts = _texts(inputs)
    in_text = np.zeros(inputs.visible.size, bool)
    parts = []  # of each text: the tokens that enter each layer, and at the end the wanted ones
    for text in texts:
        in_text[text.span] = True
        levels = [text.everything if wanted is None else text.part(indices)]
        for reach in reversed(one_sided):
            levels.insert(0, text.looked_at(levels[0], reach))
        parts.append(levels)
    alone = indices[~in_text[indices]]
    kinds, kind_of = _kinds(inputs, alone)

    def flat(level: int) -> Array:
        found = [text.span.start + levels[level].positions for text, levels in zip(texts, parts, strict=True)]
        return np.concatenate([*found, kinds])

    if wanted is None:
        layers = [_layer(texts, parts, 0, len(kinds))] * len(one_sided)
    else:
        layers = [_layer(texts, parts, level, len(kinds)) for level in range(len(one_sided))]
    last = flat(len(one_sided))
    token_of = np.zeros(inputs.visible.size, np.int64)
    token_of[last] = np.arange(len(last))
    token_of[alone] = len(last) - len(kinds) + kind_of
    target = token_of[indices]
    return Plan(layers, inputs.visible.shape, flat(0), None if _is_all(target, len(last)) else target)


@dataclass(frozen=True)
class _Part:
    """Tokens of a text: the stretch from start to stop, and global tokens outside it (int64, in order)."""

    start: int
    stop: int
    outside: Array

    @property
    def positions(self) -> Array:
        """Positions in the text, in the order of the tokens."""
        return np.concatenate([np.arange(self.start, self.stop), self.outside])

    def find(self, positions: Array) -> Array:
        """The index in that order of some positions, all of which must be among them."""
        inside = (positions >= self.start) & (positions < self.stop)
        beyond = self.stop - self.start + np.searchsorted(self.outside, positions)
        return np.where(inside, positions - self.start, beyond)


@dataclass(frozen=True)
class _Text:
    """A row between its first and its last visible token. span: in the flat batch. visible, is_global: bool [n]."""

    span: slice
    visible: Array
    is_global: Array

    @property
    def everything(self) -> _Part:
        """All its tokens."""
        return _Part(0, len(self.visible), np.empty(0, np.int64))

    def part(self, indices: Array) -> _Part:
        """The smallest part that holds the text's tokens among these flat indices."""
        positions = indices[(indices >= self.span.start) & (indices < self.span.stop)] - self.span.start
        stretch = positions[~self.is_global[positions]]
        start, stop = (int(stretch.min()), int(stretch.max()) + 1) if len(stretch) else (0, 0)
        return self._with_globals(start, stop, positions[self.is_global[positions]])

    def looked_at(self, part: _Part, one_sided: int) -> _Part:
        """The input that a layer needs to compute a part."""
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
        """The text as a row of a layer, whose tokens begin at `offset`."""
        positions = entering.positions
        globals_ = positions[self.is_global[positions]]
        wanted = leaving.positions[self.is_global[leaving.positions]]
        local = self.visible[positions] & ~self.is_global[positions]
        queries = slice(max(0, leaving.start - entering.start), leaving.stop - entering.start)
        return Row(
            slice(offset, offset + len(positions)),
            self.visible[positions],
            local,
            queries,
            entering.find(globals_),
            entering.find(wanted),
        )


def _texts(inputs: Inputs) -> list[_Text]:
    length = inputs.visible.shape[1]
    texts = []
    for index, (visible, is_global) in enumerate(zip(inputs.visible, inputs.is_global, strict=True)):
        indices = np.flatnonzero(visible)
        if len(indices):
            first, last = int(indices[0]), int(indices[-1])
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
    tokens = np.concatenate(leaving)
    return Layer(rows, None if _is_all(tokens, offset + alone) else tokens)


def _is_all(chosen: Array, count: int) -> bool:
    return len(chosen) == count and bool((chosen == np.arange(count)).all())


def _kinds(inputs: Inputs, indices: Array) -> tuple[Array, Array]:
    """One index for each kind of token among some flat indices, and the kind of each of them."""
    if inputs.input_ids is None:  # given vectors: each may differ
        return indices, np.arange(len(indices))
    facts = (inputs.input_ids, inputs.position_ids, inputs.token_type_ids)
    columns = np.stack([fact.ravel()[indices] for fact in facts], axis=1)
    _, index, kind_of = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    return indices[index], kind_of.reshape(-1)
