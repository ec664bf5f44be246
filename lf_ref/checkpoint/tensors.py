"""The tensors of a checkpoint, whichever file form it comes in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ..errors import CheckpointError
from ..files import Source
from .safetensors_file import read_safetensors
from .stored import StoredTensor, StoredTensors
from .torch_file import read_torch

SAFETENSORS = "model.safetensors"
TORCH = "pytorch_model.bin"
INT8, SCALE = "_int8", "_scale"  # after the name of a weight: its integers, and what those of a row are multiplied by
_INDEX = ".index.json"
_INDEX_LIMIT = 64 << 20  # bytes; real ones have about 100 for each tensor

Reader = Callable[[Path], dict[str, StoredTensor]]


def open_tensors(source: Source) -> StoredTensors:
    """The tensors of a checkpoint by stored name, as views of its mapped files; safetensors go before torch files.

    Raises:
        CheckpointError: there are no weights, or a file is damaged, hostile or something else.
    """
    for filename, read in ((SAFETENSORS, read_safetensors), (TORCH, read_torch)):
        path = source.find(filename)
        if path is not None:
            return StoredTensors(str(path), _join_scales(str(path), read(path)))
        path = source.find(filename + _INDEX)
        if path is not None:
            return StoredTensors(str(path), _join_scales(str(path), _read_shards(source, path, read)))
    raise source.missing(f"{SAFETENSORS} or {TORCH}, sharded or not,")


def _join_scales(origin: str, tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Put the integers of `x.weight_int8` and the scales of `x.weight_scale` together as `x.weight`: see `quantize`."""
    joined = {}
    for name, tensor in tensors.items():
        if name.endswith(".weight" + INT8):
            plain = name.removesuffix(INT8)
            scales = tensors.get(plain + SCALE)
            if scales is None or plain in tensors:
                problem = f"{plain + SCALE} is missing" if scales is None else f"{plain} is there as well"
                raise CheckpointError(f"{origin}: {name} is there, but {problem}; quantize the checkpoint again")
            try:
                joined[plain] = tensor.with_scales(scales)
            except CheckpointError as error:
                raise CheckpointError(f"{origin}: {name} {error}") from error
        elif not (name.endswith(".weight" + SCALE) and name.removesuffix(SCALE) + INT8 in tensors):
            joined[name] = tensor
    return joined


def _read_shards(source: Source, index: Path, read: Reader) -> dict[str, StoredTensor]:
    """All tensors of the files that an index names; each must lie where the index says."""
    files = _read_index(index)
    tensors: dict[str, StoredTensor] = {}
    for filename in dict.fromkeys(files.values()):
        shard = read(source.require(filename))
        repeated = sorted(shard.keys() & tensors.keys())
        if repeated:
            raise CheckpointError(f"{index}: {repeated[0]} is in {filename} and in another file as well")
        tensors |= shard
        lacking = [name for name, where in files.items() if where == filename and name not in shard]
        if lacking:
            raise CheckpointError(f"{index} says that {filename} holds {', '.join(lacking)}, but it does not")
    return tensors


def _read_index(index: Path) -> dict[str, str]:
    """The `weight_map` of an index: tensor name to file name."""
    try:
        if index.stat().st_size > _INDEX_LIMIT:
            raise CheckpointError(f"{index} is larger than {_INDEX_LIMIT >> 20} MB: not an index of tensors")
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        pairs = list(files.items())
    except (OSError, LookupError, TypeError, AttributeError, RecursionError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{index} is not an index of tensors: {type(error).__name__}: {error}") from error
    if not pairs or not all(isinstance(where, str) for _, where in pairs):
        raise CheckpointError(f"{index}: weight_map must map at least one tensor's name to a file's name")
    return dict(pairs)
