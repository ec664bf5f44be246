"""Which tokens each layer computes: rows laid end to end, without padding, and without what nobody asked for.

A masked token attends to nothing and nothing attends to it, so all that ever happens to it follows from its embedding.
Of the masked tokens before and after a row's text, one of each kind (word, position, token type) is therefore enough:
usually a single padding token for the whole batch. Results are spread over all places again at the end.

Where only some tokens of the last layer are wanted, a layer is computed for those tokens alone that the layers above it
look at: a local token looks as far as its window reaches and at the global tokens, a global token at all. In a causal
model neither looks at a token after it. Of a dilated window the whole stretch is computed, its gaps too.

A slot is where a token lies among those of a layer. Each row begins at a multiple of `step`, since the kernels take so
many tokens at a time; the slots that are left over hold copies of the token before them, which are masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..config import LongformerConfig
from ..reference.ops import Array
from .inputs import Inputs


class Window(NamedTuple):
    """The window of a layer.

    one_sided: half of HF's attention_window, in tokens. dilations: of each head. causal: whether a query sees no token
    after it.
    """

    one_sided: int
    dilations: tuple[int, ...]
    causal: bool

    @property
    def before(self) -> int:
        """How many tokens before it a query may look, of any head."""
        return self.one_sided * max(self.dilations)

    @property
    def after(self) -> int:
        """How many tokens after it."""
        return 0 if self.causal else self.before


def windows_of(config: LongformerConfig) -> list[Window]:
    """The window of each layer."""
    pairs = zip(config.windows, config.dilations, strict=True)
    return [Window(window // 2, dilations, config.autoregressive) for window, dilations in pairs]


@dataclass(frozen=True)
class Row:
    """One row of the batch, as one layer sees it: a stretch of the text, after it global tokens outside the stretch.

    start: its first slot. count: its tokens, of the stretch: stretch; the masks are longer, a multiple of the step.
    positions: int64 [count], where each token stands in the text.
    visible: bool [n], as keys of global queries. local: bool [n], as keys of the band.
    queries: the part of the stretch whose output is wanted. globals: int64 [g], the global tokens, in order.
    global_queries: int64 [q], those of them whose output is wanted.
    """

    start: int
    count: int
    stretch: int
    positions: Array
    visible: Array
    local: Array
    queries: slice
    globals: Array
    global_queries: Array


@dataclass(frozen=True)
class Layer:
    """The tokens of one layer: `rows` of what enters, and the entering slot of each that leaves (None: all do)."""

    rows: list[Row]
    leaving: Array | None


@dataclass(frozen=True)
class Plan:
    """What is computed for a batch.

    shape: (batch, seq). source: int64 [slots], the place in the flat batch of each token that enters the first layer.
    target: int64 [wanted], the slot of each wanted place among those that leave the last layer.
    """

    layers: list[Layer]
    shape: tuple[int, ...]
    source: Array
    target: Array


def plan(inputs: Inputs, windows: list[Window], wanted: Array | None, step: int) -> Plan:
    """Decide once, for all layers, which tokens are computed and who attends to whom.

    windows: of each layer. wanted: int64 [n], places in the flat batch whose last hidden state is asked for; None
    for all. step: see above.
    """
    places = np.arange(inputs.visible.size) if wanted is None else wanted
    texts = _texts(inputs)
    in_text = np.zeros(inputs.visible.size, bool)
    parts = []  # of each text, what enters each layer, and last what is wanted
    for text in texts:
        in_text[text.places] = True
        levels = [text.everything if wanted is None else text.part(places)]
        for window in reversed(windows):
            levels.insert(0, text.looked_at(levels[0], window, step))
        parts.append(levels)
    alone = places[~in_text[places]]
    kinds, kind_of = _kinds(inputs, alone)

    def slots(level: int) -> tuple[Array, int]:
        """The place in the flat batch of each slot, and where those of no text begin."""
        positions = [text.places.start + levels[level].positions for text, levels in zip(texts, parts, strict=True)]
        found = [_padded(some, step) for some in positions]
        return np.concatenate([*found, _padded(kinds, step)]), sum(map(len, found))

    numbers = [0] * len(windows) if wanted is None else range(len(windows))
    layers = [_layer(texts, parts, level, len(kinds), step) for level in sorted(set(numbers))]
    last, end = slots(len(windows))
    slot_of = np.zeros(inputs.visible.size, np.int64)
    slot_of[last[::-1]] = np.arange(len(last))[::-1]  # of a token and its copies, the token
    slot_of[alone] = end + kind_of
    return Plan([layers[number] for number in numbers], inputs.visible.shape, slots(0)[0], slot_of[places])


def _padded(values: Array, step: int) -> Array:
    """With copies of the last, up to a multiple of the step."""
    return np.concatenate([values, np.repeat(values[-1:], -len(values) % step)])


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

    def looked_at(self, part: _Part, window: Window, step: int) -> _Part:
        """What a layer must be given so that it can compute a part; it begins at a multiple of the step."""
        if self.is_global[part.positions].any():
            end = int(part.positions.max()) + 1 if window.causal else len(self.visible)
            return _Part(0, end, np.empty(0, np.int64))
        local = part.start + np.flatnonzero(self.visible[part.start : part.stop])
        if len(local) == 0:
            return part
        start = min(part.start, max(0, int(local[0]) - window.before)) // step * step
        stop = max(part.stop, min(len(self.visible), int(local[-1]) + window.after + 1))
        seen = self.is_global[:stop] if window.causal else self.is_global
        return self._with_globals(start, stop, np.flatnonzero(seen))

    def _with_globals(self, start: int, stop: int, globals_: Array) -> _Part:
        return _Part(start, stop, np.unique(globals_[(globals_ < start) | (globals_ >= stop)]))

    def row(self, entering: _Part, leaving: _Part, start: int, step: int) -> Row:
        """The text as a layer sees it, its tokens laid out from slot `start` on."""
        positions = entering.positions
        count, is_global = len(positions), self.is_global[positions]
        visible = np.zeros(-(-count // step) * step, bool)
        local = visible.copy()
        visible[:count] = self.visible[positions]
        local[:count] = visible[:count] & ~is_global
        asked = leaving.positions[self.is_global[leaving.positions]]
        queries = slice(max(0, leaving.start - entering.start), leaving.stop - entering.start)
        globals_ = entering.find(positions[is_global])
        stretch = entering.stop - entering.start
        return Row(start, count, stretch, positions, visible, local, queries, globals_, entering.find(asked))


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


def _layer(texts: list[_Text], parts: list[list[_Part]], level: int, alone: int, step: int) -> Layer:
    rows, leaving, start = [], [], 0
    for text, levels in zip(texts, parts, strict=True):
        entering, after = levels[level], levels[level + 1]
        row = text.row(entering, after, start, step)
        leaving.append(_padded(start + entering.find(after.positions), step))
        start += len(row.visible)
        rows.append(row)
    leaving.append(_padded(np.arange(start, start + alone), step))
    unchanged = all(np.array_equal(levels[level].positions, levels[level + 1].positions) for levels in parts)
    return Layer(rows, None if unchanged else np.concatenate(leaving))


def _kinds(inputs: Inputs, places: Array) -> tuple[Array, Array]:
    """One place for each kind of token at `places` of the flat batch, and the number of the kind of each."""
    if inputs.input_ids is None:  # given vectors: each may differ
        return places, np.arange(len(places))
    facts = (inputs.input_ids, inputs.position_ids, inputs.token_type_ids)
    columns = np.stack([fact.ravel()[places] for fact in facts], axis=1)
    _, index, kind_of = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    return places[index], kind_of.reshape(-1)
