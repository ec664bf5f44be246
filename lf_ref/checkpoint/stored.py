"""A tensor as stored in a file, and its conversion to an array of another dtype."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import CheckpointError, CheckpointFileError

Array = NDArray[Any]

# How the elements of each stored dtype lie in memory; files are little-endian. NumPy has no bfloat16: its 16 bits are
# the upper half of a float32.
LAYOUT: dict[str, np.dtype[Any]] = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "int8": np.dtype("i1"),
    "uint64": np.dtype("<u8"),
    "uint32": np.dtype("<u4"),
    "uint16": np.dtype("<u2"),
    "uint8": np.dtype("u1"),
    "bool": np.dtype("?"),
}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as stored: `data` has its bits, read-only; `dtype`, a key of `LAYOUT`, is their format.

    scales: float32 [rows], the factors of the integers of each row; None if there are none.
    """

    dtype: str
    data: Array
    scales: Array | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return self.data.shape

    @property
    def nbytes(self) -> int:
        """Size in the file."""
        return self.data.nbytes + (0 if self.scales is None else self.scales.nbytes)

    @classmethod
    def of(cls, value: Any) -> StoredTensor:
        """A tensor from an array of the caller (or anything that NumPy converts to one), without a copy.

        Raises:
            CheckpointError: it is not numeric.
        """
        if isinstance(value, cls):
            return value
        try:
            array = np.asarray(value)
        except Exception as error:  # any class may offer __array__ and fail in its own way
            raise CheckpointError(f"got {type(value).__name__}, wanted an array: {error}") from error
        if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":  # the latter of package ml_dtypes
            raise CheckpointError(f"got an array of {array.dtype}, wanted a numeric one")
        return cls("array", array)

    def with_scales(self, scales: StoredTensor) -> StoredTensor:
        """The tensor of these integers times a scale for each row.

        Raises:
            CheckpointError: they are not an int8 matrix, or the scales are not one float32 for each row.
        """
        if self.dtype != "int8" or self.data.ndim != 2:
            raise CheckpointError(f"must be int8 (rows, columns), got {self.dtype} of shape {self.shape}")
        if scales.dtype != "float32" or scales.shape != self.shape[:1]:
            raise CheckpointError(
                f"needs float32 scales of shape {self.shape[:1]}, got {scales.dtype} of shape {scales.shape}"
            )
        return StoredTensor(self.dtype, self.data, scales.array(np.float32))

    def array(self, dtype: DTypeLike) -> Array:
        """The values, read-only, contiguous, aligned and in native byte order; a view of the file if possible.

        float16 and bfloat16 widen exactly.

        Raises:
            CheckpointError: a finite value does not fit `dtype`.
        """
        data = self.data
        if self.scales is not None:
            data = data * self.scales[:, None]
        if self.dtype == "bfloat16":
            bits = data.astype(np.uint32)
            bits <<= np.uint32(16)
            data = bits.view(np.float32)
        try:
            with np.errstate(over="raise", invalid="ignore"):  # a NaN stays a NaN
                values = np.require(data, dtype, ["C_CONTIGUOUS", "ALIGNED"])
        except FloatingPointError:
            raise CheckpointError(
                f"{self.dtype} values too large for {np.dtype(dtype)}; load with dtype='float64'"
            ) from None
        if not np.may_share_memory(values, self.data):
            release(self.data)
        values = values.view()  # the caller's own array stays writable for the caller
        values.flags.writeable = False
        return values


class StoredTensors(dict[str, StoredTensor]):
    """The tensors of a checkpoint by the names they are stored under; `origin` is the path of their file."""

    def __init__(self, origin: str, tensors: dict[str, StoredTensor]) -> None:
        super().__init__(tensors)
        self.origin = origin


def same(first: StoredTensor, second: StoredTensor) -> bool:
    """Whether two tensors hold the same values; shared storage shows it without reading them."""
    one, two = first.data, second.data
    if first.dtype != second.dtype or first.scales is not None or second.scales is not None:
        return bool(np.array_equal(first.array(np.float64), second.array(np.float64), equal_nan=True))
    if one.__array_interface__["data"] == two.__array_interface__["data"] and one.strides == two.strides:
        return True
    return bool(np.array_equal(one, two, equal_nan=True))


def stored_dtype(tensors: Mapping[str, Any]) -> str:
    """The dtype that loads weights unchanged: that of the largest tensor.

    float16, which no CPU computes in, widens to float32, and integers with scales are int8.
    """
    stored = [StoredTensor.of(tensor) for tensor in tensors.values()]
    if any(tensor.scales is not None for tensor in stored):
        return "int8"
    largest = max(stored, key=lambda tensor: tensor.data.size, default=StoredTensor("float32", np.empty(0)))
    kind = largest.data.dtype.name if largest.dtype == "array" else largest.dtype
    return kind if kind in ("bfloat16", "float64") else "float32"


class _MappedFile(mmap.mmap):
    """A private mapping of a file, whose pages can be released."""


def map_file(path: Path) -> mmap.mmap:
    """Map a file into memory, read-only: pages are read on first use. The file must not shrink meanwhile.

    Raises:
        CheckpointFileError: the file cannot be read.
        CheckpointError: it is empty, or clearly not a file of tensors.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise CheckpointError(f"{path} is empty: the download or copy broke off; fetch it again")
            mapped = _MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointFileError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    head = bytes(mapped[:256]).lstrip().lower()
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path} is a git-lfs pointer, not the file itself: run `git lfs pull` in the repository's folder"
        )
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path} is a web page, not tensors: the download gave an error page; fetch it again")
    return mapped


def view(
    mapped: mmap.mmap, dtype: str, start: int, shape: tuple[int, ...], strides: tuple[int, ...] | None = None
) -> Array:
    """An array of the file from byte `start` on, read-only, without a copy; `strides` in bytes, by default contiguous.

    Raises:
        ValueError: it would reach outside the file.
    """
    if 0 in shape:
        return np.empty(shape, LAYOUT[dtype])
    return np.ndarray(shape, LAYOUT[dtype], mapped, start, strides)


def release(data: Array) -> None:
    """Release the pages of a mapped file that hold `data`; a later access reads them again."""
    owner: object = data
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    if isinstance(owner, _MappedFile) and hasattr(mmap, "MADV_DONTNEED"):
        owner.madvise(mmap.MADV_DONTNEED)
