"""Reading a safetensors file as views of the mapped file, and writing one.

The safetensors library checks the header: its length, its JSON, that every tensor's bytes match dtype and shape, and
that together they cover the rest of the file without overlap or hole. Its NumPy interface copies, and does not support
bfloat16, so this module makes the views and writes files. Format: https://huggingface.co/docs/safetensors: 8 bytes with
the header's length, the header, then the bytes of the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from ..errors import CheckpointError
from .stored import LAYOUT, StoredTensor, map_file, release, view

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_safetensors(path: Path) -> dict[str, StoredTensor]:
    """All tensors of a file, by name; only the header is read.

    Raises:
        CheckpointError: the file is damaged, hostile or of another format, or has a dtype that is not in the table.
    """
    mapped = map_file(path)
    if bytes(mapped[:4]) == b"PK\x03\x04" or bytes(mapped[:2]) == b"\x80\x02":
        raise CheckpointError(f"{path} is a torch file, not safetensors: rename it to pytorch_model.bin")
    try:
        with safe_open(path, framework="numpy") as checked:
            names = set(checked.keys())
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}; fetch it again") from error
    length = int.from_bytes(mapped[:8], "little")
    try:
        header = json.loads(bytes(mapped[8 : 8 + length]), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header is not valid: {error}") from error
    header.pop("__metadata__", None)
    if set(header) != names:
        raise CheckpointError(f"{path}: the header is ambiguous; fetch it again from a source you trust")
    tensors = {}
    for name, entry in header.items():
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise CheckpointError(
                f"{path}: {name} has dtype {entry['dtype']}, which is not supported; store it as one of "
                f"{', '.join(_DTYPES)}"
            )
        start, shape = 8 + length + entry["data_offsets"][0], tuple(entry["shape"])
        try:
            tensors[name] = StoredTensor(dtype, view(mapped, dtype, start, shape))
        except (ValueError, OverflowError) as error:  # more axes than NumPy has, or one without end beside one of 0
            raise CheckpointError(f"{path}: {name} of shape {shape} cannot be an array: {error}") from error
    return tensors


_PLAIN = {"format": "pt"}  # HF refuses a checkpoint without it


def write_safetensors(path: Path, tensors: Mapping[str, StoredTensor], metadata: Mapping[str, str] = _PLAIN) -> None:
    """Write tensors to a file; the widest dtypes come first, so that all of them are aligned.

    Raises:
        OSError: the file cannot be written.
    """
    names = {dtype: name for name, dtype in _DTYPES.items()}
    ordered = sorted(tensors.items(), key=lambda entry: (-entry[1].data.itemsize, entry[0]))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in ordered:
        start, end = end, end + tensor.data.nbytes
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, tensor in ordered:
            np.ascontiguousarray(tensor.data, LAYOUT[tensor.dtype]).tofile(file)
            release(tensor.data)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ: parsers disagree on which of two equal keys wins."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is given twice")
    return fields
