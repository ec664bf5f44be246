"""From what an observer is told, row by row and head by head, to pieces of whole tensors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ..config import LongformerConfig
from ..errors import InputError
from ..model.inputs import Inputs
from ..reference.forward import banded
from ..reference.ops import Array
from ..tokenizer.inputs import as_sequence
from .names import BAND, COLUMNS, GLOBALS, OUTPUTS, TOKENS, aliases, place_of, split

Index = tuple[int | slice, ...]
Chosen = Callable[[str], bool]


def chooser(patterns: Sequence[str] | str | None) -> Chosen:
    """Whether a name, or one of its other names, is like one of the patterns (`*`, `?`, `[...]`); None means all."""
    if patterns is None:
        return lambda name: True
    wanted = [patterns] if isinstance(patterns, str) else as_sequence("names", patterns)
    if wanted is None or not all(isinstance(like, str) for like in wanted):
        raise InputError(f"names must be a pattern or several, such as 'encoder.layer.*', got {patterns!r:.80}")
    return lambda name: any(fnmatchcase(known, like) for known in (name, *aliases(name)) for like in wanted)


class Placer(ABC):
    """An observer that knows where in a whole tensor each piece belongs.

    Subclasses say what is done with it, in `put`. After the forward, `inputs` is the checked batch.
    """

    def __init__(self, config: LongformerConfig, chosen: Chosen) -> None:
        self.config, self.chosen = config, chosen
        self.inputs: Inputs
        self._heads: dict[tuple[str, int], int] = {}

    def begin(self, inputs: Inputs) -> None:
        """As in `lf_ref.model.observing.Observer`."""
        self.inputs = inputs
        self._globals = [np.flatnonzero(row) for row in inputs.is_global]
        self._columns = max(map(len, self._globals))

    def __call__(self, name: str, array: Array, row: int | None = None, /) -> Array:
        """As in `lf_ref.model.observing.Observer`."""
        if self.chosen(name) and array.size:
            if row is None:
                self.put(name, array.shape, (), array)
            else:
                self._put_row(name, array, row)
        return array

    @abstractmethod
    def put(self, name: str, shape: tuple[int, ...], index: Index, piece: Array) -> None:
        """Take a piece of the tensor `name` of this shape."""

    def _put_row(self, name: str, array: Array, row: int) -> None:
        place = place_of(name)
        layout = TOKENS if place is None else place.layout
        batch, length = self.inputs.visible.shape
        heads, count = self.config.num_attention_heads, len(self._globals[row])
        layer, within = split(name)
        if layout in (BAND, COLUMNS):
            head = self._head(name, row)
            one_sided = self.config.windows[layer or 0] // 2
            is_global = self.inputs.is_global[row]
            local, global_ = banded(array[None], is_global, self._columns, one_sided, nothing_in(name))
            piece = (local if layout == BAND else global_)[0]
            self.put(name, (batch, heads, *piece.shape), (row, head), piece)
            return
        width, columns = array.shape[1], slice(None)
        if within.startswith("attention.self.context"):  # one head's share of the columns
            head = self._head(name, row)
            columns, width = slice(head * width, (head + 1) * width), heads * width
        if layout == GLOBALS:
            shape = (batch, self._columns, width)
            self.put(name, shape, (row, slice(0, count), columns), array[self._globals[row]])
        else:
            self.put(name, (batch, length, width), (row, slice(None), columns), array)

    def _head(self, name: str, row: int) -> int:
        """The definition takes the heads in order, so that the n-th call is of head n."""
        head = self._heads.get((name, row), 0)
        self._heads[name, row] = head + 1
        return head


def nothing_in(name: str) -> float:
    """What a map of attention holds where there is no key."""
    return -np.inf if ".scores" in name else 0.0


def outputs_of(record: Any) -> Mapping[str, Array]:
    """The single arrays of an output record, in order."""
    found = {name: getattr(record, name, None) for name in OUTPUTS}
    return {name: np.asarray(value) for name, value in found.items() if value is not None}
