"""Torch files of one storage in both forms, sound or not, and reading them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lf_ref.checkpoint import open_tensors
from lf_ref.errors import CheckpointError
from lf_ref.files import locate
from oracles import torch_writer as w

GOLDEN = Path(__file__).parent / "golden"
KINDS = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
VALUES = np.arange(12, dtype="<f4")


def read(folder: Path) -> dict[str, np.ndarray]:
    return {name: tensor.array(np.float64) for name, tensor in open_tensors(locate(folder)).items()}


def floats(length: int = 12, key: str = "0", legacy: bool = False) -> bytes:
    return w.storage("FloatStorage", key, length, legacy=legacy)


def write(folder: Path, form: str, body_of_storage, raw: bytes, kind: str = "FloatStorage") -> Path:
    """A file of either form whose one storage holds `raw`; `body_of_storage` builds the value from the storage."""
    length = len(raw) // np.dtype(KINDS.get(kind, "<u2")).itemsize
    body = body_of_storage(w.storage(kind, "0", length, legacy=form == "stream"))
    path = folder / "pytorch_model.bin"
    if form == "zip":
        return w.write_zip(path, body, {"0": raw})
    return w.write_stream(path, body, {"0": (length, raw)} if raw else {})


def refuses(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read(folder)
