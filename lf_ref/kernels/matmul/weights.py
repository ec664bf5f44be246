"""Weights as the micro-kernels want them: as they are stored, wherever their sizes are whole steps.

Others, of tiny or odd sizes, are copied once and filled up with zeros.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .dispatch import microkernel
from .microkernel import values_per_word
from .operands import Weight, frozen

__all__ = ["ReducedWeight", "Weights", "filled"]

Array = NDArray[Any]

_LEAST = 32  # rows, since the rows of a tile are no more


class ReducedWeight(Protocol):
    """A weight [n, m] of reduced precision: see `lf_ref.checkpoint.reduced`."""

    @property
    def kind(self) -> str:
        """What it is made of, "bfloat16" or "int8"."""

    @property
    def elements(self) -> Array:
        """[n, m], what it is made of: uint16, the bits of bfloat16, or int8."""

    @property
    def words(self) -> NDArray[np.float32]:
        """[n, d], its rows as 32-bit words, filled up with zeros."""

    @property
    def scales(self) -> NDArray[np.float32]:
        """[n], what integers are to be multiplied by; empty for bfloat16."""

    @property
    def row_sums(self) -> NDArray[np.int32]:
        """[n], the sums of integers; empty for bfloat16."""

    def __len__(self) -> int:
        """How many rows it has."""

    def __getitem__(self, rows: Any) -> Array:
        """Some rows, as float32."""


def filled(channels: int) -> int:
    """The channels that lanes have room for where there are so many: an even number, and those of a whole tile."""
    return max(_LEAST, -(-channels // 2) * 2)


class Weights:
    """Makes weights ready, and remembers them."""

    def __init__(self) -> None:
        self._ready: dict[tuple[Any, ...], tuple[Any, Any, Weight]] = {}

    def __call__(self, weight: Any, bias: Array, rows: int = 0, columns: int = 0) -> Weight:
        """A weight [m, n] and its bias [m], ready for a micro-kernel.

        rows, columns: the number of equal groups, each of which is filled up by itself: heads, to 32 channels. 0 for
        none; then all together are filled up, as `filled` says.
        """
        key = (id(weight), id(bias), rows, columns)
        if key not in self._ready:  # what is kept with it keeps its id
            self._ready[key] = weight, bias, _ready(weight, bias, rows, columns)
        return self._ready[key][2]


def _ready(weight: Any, bias: Array, rows: int, columns: int) -> Weight:
    kind = kind_of(weight)
    elements = weight if isinstance(weight, np.ndarray) else weight.elements
    step = values_per_word(kind) * microkernel(kind).step
    tall = _Groups(elements.shape[0], rows)
    wide = _Groups(elements.shape[1], columns)
    shape = tall.room, -(-wide.room // step) * step
    scales, offsets = np.empty(0, np.float32), np.empty(0, np.int32)
    if kind == "int8":
        scales, offsets = tall.spread(weight.scales), tall.spread(weight.row_sums * np.int32(128))
    if shape != elements.shape or not elements.flags.c_contiguous or elements.ctypes.data % 4:
        room = np.zeros(shape, elements.dtype)
        room[tall.places[:, None], wide.places] = elements
        elements = room
    if step > 1:
        elements = elements.view(np.int32)
    return Weight(*(frozen(np.ascontiguousarray(array)) for array in (elements, tall.spread(bias), scales, offsets)))


def kind_of(weight: Any) -> str:
    """ "float32", "float64", "bfloat16" or "int8"."""
    return str(weight.dtype.name) if isinstance(weight, np.ndarray) else str(weight.kind)


class _Groups:
    """Where the rows or columns of a weight go, cut into equal groups that are filled up each by itself.

    room: how many there are in all. places: int64 [count].
    """

    def __init__(self, count: int, groups: int) -> None:
        size = count // (groups or 1)
        room = -(-size // _LEAST) * _LEAST if groups else filled(size)
        self.room = room * (groups or 1)
        self.places = (np.arange(groups or 1)[:, None] * room + np.arange(size)).reshape(-1)

    def spread(self, vector: Array) -> Array:
        """A value for each row, with zeros between."""
        if len(vector) == self.room:
            return vector
        room = np.zeros(self.room, vector.dtype)
        room[self.places] = vector
        return room
