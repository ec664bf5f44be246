"""A safetensors file that is written tensor by tensor, and read as views of the mapped file."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from safetensors import safe_open

from ...checkpoint.safetensors_file import read_safetensors
from ...checkpoint.stored import LAYOUT
from ...reference.ops import Array

_DTYPES = {"float64": "F64", "float32": "F32", "int64": "I64", "uint8": "U8"}
_PER_TENSOR = 256  # bytes of the header: a name, a dtype, a shape and two offsets, in JSON


class TensorFile:
    """A safetensors file to write tensors to, one at a time; the header is written on exit.

    Tensors are mapped from the file, so that none has to fit into memory. tensors: the largest number of tensors.
    metadata: the largest size of the metadata, in bytes. Set the attribute `metadata` before the exit.
    """

    def __init__(self, path: Path, tensors: int, metadata: int) -> None:
        self._path = path
        self._header_size = -(-(tensors * _PER_TENSOR + 2 * metadata) // 8) * 8
        self._header: dict[str, Any] = {}
        self._end = 0
        self.metadata: dict[str, str] = {}

    def create(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """A new tensor of zeros, with one element or more, mapped from the file: write to it, then release it."""
        name_of_dtype, dtype = _DTYPES[dtype.name], LAYOUT[dtype.name]
        size = int(np.prod(shape)) * dtype.itemsize
        start, self._end = self._end, self._end + size
        offset = 8 + self._header_size + start
        self._header[name] = {
            "dtype": name_of_dtype,
            "shape": list(shape),
            "data_offsets": [start, self._end],
        }
        with open(self._path, "r+b") as file:
            file.truncate(offset + size)
        return np.memmap(self._path, dtype, "r+", offset, shape or (1,)).reshape(shape)

    def __enter__(self) -> TensorFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Write the header, padded with spaces as the format allows."""
        if error is not None:
            return
        text = json.dumps({"__metadata__": self.metadata, **self._header}, separators=(",", ":")).encode()
        assert len(text) <= self._header_size
        with open(self._path, "r+b") as file:
            file.write(self._header_size.to_bytes(8, "little") + text.ljust(self._header_size))


def read_tensors(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The tensors and the metadata of a file. Tensors are read-only views of it; bfloat16 is converted to float32.

    Raises:
        CheckpointError: the file is damaged, hostile or of another format.
    """
    tensors = read_safetensors(path)
    with safe_open(path, framework="numpy") as file:
        metadata = dict(file.metadata() or {})
    arrays = {
        name: tensor.array(np.float32) if tensor.dtype == "bfloat16" else tensor.data
        for name, tensor in tensors.items()
    }
    return arrays, metadata
