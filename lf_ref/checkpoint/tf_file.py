"""Reading a `tf_model.h5`, as HF's TensorFlow models saved it, as views of the mapped file.

h5py reads the structure of the file; values are stored as in memory, so they need no copy. TensorFlow's names have
slashes, a first part for the model and `layer_._0` for a list's first; a `kernel` is the transpose of a `weight`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, CheckpointFileError
from .stored import LAYOUT, StoredTensor, map_file, same, view

_LAST = {"kernel": "weight", "embeddings": "weight", "gamma": "weight", "beta": "bias"}


def read_tf(path: Path) -> dict[str, StoredTensor]:
    """All tensors of a file, by the names of HF's torch models.

    Raises:
        CheckpointFileError: h5py is missing.
        CheckpointError: the file is damaged, hostile or not one that Keras writes.
    """
    try:
        import h5py
    except ImportError as error:
        raise CheckpointFileError(f"{path}: TensorFlow's file needs h5py: pip install 'lf-ref[h5]' ({error})") from None
    mapped = map_file(path)
    tensors: dict[str, StoredTensor] = {}

    def add(name: str, entry: Any) -> None:
        if not isinstance(entry, h5py.Dataset):
            return
        parameter, transposed = torch_name(name)
        tensor = _locate(mapped, entry, f"{path}: {name:.100}")
        if transposed:
            tensor = StoredTensor(tensor.dtype, tensor.data.T)
        # Keras stores the embeddings a second time under a head that uses them.
        if not same(tensors.setdefault(parameter, tensor), tensor):
            raise CheckpointError(f"{path}: there are two tensors for {parameter:.100}, which differ")

    try:
        with h5py.File(path, "r") as file:
            file.visititems(add)  # it follows no links, which could lead into other files
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, OverflowError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is not a whole HDF5 file: {error}; fetch it again") from error
    if not tensors:
        raise CheckpointError(f"{path} holds no tensors")
    return tensors


def torch_name(name: str) -> tuple[str, bool]:
    """HF's torch name for a path in the file, and whether the values are transposed.

    >>> torch_name("longformer/tf_longformer_model/longformer/encoder/layer_._0/output/dense/kernel:0")
    ('longformer.encoder.layer.0.output.dense.weight', True)
    """
    parts = re.sub(r":\d+$", "", name).replace("_._", "/").split("/")
    # The first part is the group of a layer, the second the model.
    *inner, last = parts[2:] if len(parts) > 2 else parts
    return ".".join((*inner, _LAST.get(last, last))), last == "kernel"


def _locate(mapped: Any, entry: Any, where: str) -> StoredTensor:
    """A dataset as a view of the file; where: its place, for errors."""
    start, dtype = entry.id.get_offset(), entry.dtype
    if entry.is_virtual or entry.external or entry.chunks is not None or start is None:
        raise CheckpointError(f"{where} is not stored in one piece, as Keras does; save the file again with HF")
    name = dtype.name
    if name not in LAYOUT or dtype != LAYOUT[name] or dtype.kind not in "fiu":
        raise CheckpointError(f"{where} has dtype {dtype}, wanted little-endian numbers")
    return StoredTensor(name, view(mapped, name, start, entry.shape))
