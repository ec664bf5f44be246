"""Weights of reduced precision: bfloat16, and int8 with a scale for each row.

Both read as matrices: indexed rows, and `numpy.asarray` of the whole, are float32. The kernels multiply by them; they
need each row in whole 32-bit words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CheckpointError
from ..memory import empty
from .stored import Array, StoredTensor, release

__all__ = ["REDUCED", "Bfloat16Weight", "Int8Weight", "ReducedWeight", "reduce"]

_STEP = 1 << 20  # elements converted at a time, so that the float32 form of a large matrix never exists
_LARGEST = 127  # int8 is used symmetrically: -128 would have no counterpart
_LONGEST = (2**31 - 1) // _LARGEST**2  # elements of a row whose dot product fits an int32


class ReducedWeight:
    """A matrix [n, m] of reduced precision that reads as float32; read-only.

    kind: "bfloat16" or "int8". words: [n, d], its rows as 32-bit words, padded with zeros; their dtype is float32,
    though they are not such values. scales, row_sums: [n], the scale of the integers of each row, and their sum.
    """

    kind: str
    dtype = np.dtype(np.float32)
    scales: NDArray[np.float32] = np.empty(0, np.float32)
    row_sums: NDArray[np.int32] = np.empty(0, np.int32)
    _stored: np.dtype[Any]

    def __init__(self, elements: Array) -> None:
        """elements: [n, m] as they are stored; not copied if their rows are whole, aligned words."""
        self.shape: tuple[int, ...] = elements.shape
        per_word = 4 // self._stored.itemsize
        if elements.shape[1] % per_word or not elements.flags.c_contiguous or elements.ctypes.data % 4:
            filled = np.zeros((len(elements), -(-elements.shape[1] // per_word) * per_word), self._stored)
            filled[:, : elements.shape[1]] = elements
            elements = filled
        self.words = elements.view(np.float32)
        self.words.flags.writeable = False

    @property
    def elements(self) -> Array:
        """The elements [n, m] as they are stored."""
        return self.words.view(self._stored)[:, : self.shape[1]]

    @property
    def nbytes(self) -> int:
        """The size in memory, in bytes."""
        return self.words.nbytes + self.scales.nbytes + self.row_sums.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Array:
        """Some rows, by anything that indexes the first axis, as a new float32 array."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All values as a new array, float32 by default."""
        if copy is False:
            raise ValueError("a reduced weight has no float32 array that could be shared; copy it")
        return self[:].astype(dtype or self.dtype, copy=False)


class Bfloat16Weight(ReducedWeight):
    """A matrix in bfloat16: the upper half of the bits of each float32."""

    kind = "bfloat16"
    _stored = np.dtype(np.uint16)

    def __getitem__(self, rows: Any) -> Array:
        """As in `ReducedWeight`."""
        bits = self.elements[rows].astype(np.uint32)
        bits <<= np.uint32(16)
        return bits.view(np.float32)


class Int8Weight(ReducedWeight):
    """A matrix of integers from -127 to 127, times a float32 scale for each row."""

    kind = "int8"
    _stored = np.dtype(np.int8)

    def __init__(self, elements: Array, scales: NDArray[np.float32]) -> None:
        """As `ReducedWeight`; scales: [n]."""
        if elements.shape[1] > _LONGEST:
            raise CheckpointError(
                f"dtype='int8' takes rows of at most {_LONGEST} elements, got {elements.shape[1]}: their "
                "dot products are accumulated in 32 bits; load with another dtype"
            )
        super().__init__(elements)
        self.scales = np.ascontiguousarray(scales, np.float32)
        self.row_sums = self.elements.sum(axis=1, dtype=np.int32)

    def __getitem__(self, rows: Any) -> Array:
        """As in `ReducedWeight`."""
        values: Array = self.elements[rows] * self.scales[rows][..., None]
        return values


def reduce(tensor: StoredTensor, kind: str) -> ReducedWeight:
    """A matrix as "bfloat16", rounded to nearest, ties to even, or as "int8", scaled by each row's largest magnitude.

    A matrix that is stored in that form is used unchanged, as a view of the file if possible.

    Raises:
        CheckpointError: a finite value is too large for bfloat16.
    """
    return REDUCED[kind](tensor)


def _bfloat16(tensor: StoredTensor) -> ReducedWeight:
    if tensor.dtype == "bfloat16":
        return Bfloat16Weight(tensor.data)
    if tensor.data.dtype.name == "bfloat16":  # an array of package ml_dtypes
        return Bfloat16Weight(tensor.data.view(np.uint16))
    bits = empty(tensor.data.size, np.uint16).reshape(tensor.shape)
    for rows, values in _some_rows(tensor):
        bits[rows] = _upper_half(values)
    return Bfloat16Weight(bits)


def _int8(tensor: StoredTensor) -> ReducedWeight:
    if tensor.scales is not None:
        return Int8Weight(tensor.data, tensor.scales)
    elements, scales = empty(tensor.data.size, np.int8).reshape(tensor.shape), np.empty(len(tensor.data), np.float32)
    for rows, values in _some_rows(tensor):
        largest = np.abs(values).max(axis=1, initial=0)
        finite = np.isfinite(largest)
        scales[rows] = np.where(finite, np.maximum(largest / np.float32(_LARGEST), np.finfo(np.float32).tiny), np.nan)
        whole = np.rint(values / np.where(finite, scales[rows], 1)[:, None])
        elements[rows] = np.where(finite[:, None], whole, 0)
    return Int8Weight(elements, scales)


# What makes them, by the name that users give.
REDUCED = {"bfloat16": _bfloat16, "int8": _int8}


def _some_rows(tensor: StoredTensor) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The values of a matrix, some rows at a time; the pages of the file are released after each."""
    step = max(1, _STEP // max(1, tensor.shape[1]))
    for start in range(0, tensor.shape[0], step):
        rows = slice(start, start + step)
        scales = None if tensor.scales is None else tensor.scales[rows]
        yield rows, StoredTensor(tensor.dtype, tensor.data[rows], scales).array(np.float32)
        release(tensor.data)


def _upper_half(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """float32 rounded to bfloat16 bits; a NaN stays one."""
    bits = values.view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1)))
    rounded = np.where(np.isnan(values), bits | np.uint32(0x400000), rounded)
    upper = (rounded >> np.uint32(16)).astype(np.uint16)
    if np.any(np.isfinite(values) & (upper & np.uint16(0x7FFF) == 0x7F80)):
        raise CheckpointError("float32 values too large for bfloat16; load with dtype='float32'")
    return upper
