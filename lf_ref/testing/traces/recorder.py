"""The base of observers that assemble whole tensors from the rows and heads of a forward pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from ...config import LongformerConfig
from ...model.inputs import Inputs
from ...reference.forward import banded
from ...reference.ops import Array
from ...tokenizer.arguments import as_strings
from .tensor_names import BAND, COLUMNS, GLOBALS, OUTPUTS, TOKENS, aliases, lookup, split_layer

Index = tuple[int | slice, ...]
NameFilter = Callable[[str], bool]


def name_filter(patterns: Sequence[str] | str | None) -> NameFilter:
    """A predicate: a name or one of its aliases matches one of the patterns (`*`, `?`, `[...]`); None matches all."""
    if patterns is None:
        return lambda name: True
    wanted = [patterns] if isinstance(patterns, str) else as_strings("names", patterns)
    return lambda name: any(fnmatchcase(known, like) for known in (name, *aliases(name)) for like in wanted)


class Recorder(ABC):
    """An observer that computes the index of each piece within its whole tensor.

    Subclasses store or measure the pieces, in `put`. After the forward pass, `inputs` is the checked batch.
    """

    def __init__(self, config: LongformerConfig, chosen: NameFilter) -> None:
        self.config, self.chosen = config, chosen
        self.inputs: Inputs
        self._heads: dict[tuple[str, int], int] = {}

    def begin(self, inputs: Inputs) -> None:
        """As in `lf_ref.model.observer.Observer`."""
        self.inputs = inputs
        self._globals = [np.flatnonzero(row) for row in inputs.is_global]
        self._columns = max(map(len, self._globals))

    def __call__(self, name: str, array: Array, row: int | None = None, /) -> Array:
        """As in `lf_ref.model.observer.Observer`."""
        if self.chosen(name) and array.size:
            if row is None:
                self.put(name, array.shape, (), array)
            else:
                self._put_row(name, array, row)
        return array

    @abstractmethod
    def put(self, name: str, shape: tuple[int, ...], index: Index, piece: Array) -> None:
        """Take `piece`, which is the part at `index` of the tensor `name` of this shape."""

    def _put_row(self, name: str, array: Array, row: int) -> None:
        entry = lookup(name)
        layout = TOKENS if entry is None else entry.layout
        batch, length = self.inputs.visible.shape
        heads, count = self.config.num_attention_heads, len(self._globals[row])
        layer, within = split_layer(name)
        if layout in (BAND, COLUMNS):
            head = self._head(name, row)
            one_sided, dilation = self.config.windows[layer or 0] // 2, self.config.dilations[layer or 0][head]
            is_global = self.inputs.is_global[row]
            local, global_ = banded(array[None], is_global, self._columns, one_sided, masked_value(name), dilation)
            piece = (local if layout == BAND else global_)[0]
            self.put(name, (batch, heads, *piece.shape), (row, head), piece)
            return
        width, columns = array.shape[1], slice(None)
        if within.startswith("attention.self.context"):  # the columns of one head
            head = self._head(name, row)
            columns, width = slice(head * width, (head + 1) * width), heads * width
        if layout == GLOBALS:
            shape = (batch, self._columns, width)
            self.put(name, shape, (row, slice(0, count), columns), array[self._globals[row]])
        else:
            self.put(name, (batch, length, width), (row, slice(None), columns), array)

    def _head(self, name: str, row: int) -> int:
        """The reference implementation computes the heads in order, so that the n-th call is of head n."""
        head = self._heads.get((name, row), 0)
        self._heads[name, row] = head + 1
        return head


def masked_value(name: str) -> float:
    """The value of scores or probabilities where a query has no key."""
    return -np.inf if ".scores" in name else 0.0


def output_arrays(record: Any) -> Mapping[str, Array]:
    """The single arrays of an output record, in order."""
    return {name: np.asarray(record[name]) for name in OUTPUTS if name in record}
