"""The tensors of a checkpoint, in any of the file formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ..errors import CheckpointError, CheckpointFileError, InputError
from ..files import Source
from .safetensors_file import read_safetensors
from .stored import StoredTensor, StoredTensors
from .tf_file import read_tf
from .torch_file import read_torch

SAFETENSORS = "model.safetensors"
TORCH = "pytorch_model.bin"
TF = "tf_model.h5"
INT8, SCALE = "_int8", "_scale"  # after the name of a weight: its integers, and what those of a row are multiplied by
INDEX = ".index.json"
_INDEX_LIMIT = 64 << 20  # bytes; real ones have about 100 for each tensor

Reader = Callable[[Path], dict[str, StoredTensor]]


def open_tensors(source: Source, use_safetensors: bool | None = None, variant: str | None = None) -> StoredTensors:
    """The tensors of a checkpoint by stored name, as views of its mapped files; safetensors go before torch files.

    A file of HF's TensorFlow models, which needs the extra `lf-ref[h5]`, is read where there are neither.

    Args:
        source: where the files are.
        use_safetensors: True for safetensors only, False for torch files only.
        variant: which of several weights, by what HF puts before the ending: "fp16" for `model.fp16.safetensors`.

    Raises:
        CheckpointFileError: there are no weights.
        CheckpointError: a file is damaged, hostile or something else.
        InputError: use_safetensors is something else.
    """
    if use_safetensors not in (None, True, False):
        raise InputError(f"use_safetensors must be None, True or False, got {use_safetensors!r}")
    readers: dict[str, Reader] = {SAFETENSORS: read_safetensors, TORCH: read_torch}
    if use_safetensors is not None:
        del readers[TORCH if use_safetensors else SAFETENSORS]
    whole = {_of_variant(filename, variant): read for filename, read in readers.items()}
    sharded = {_of_variant(filename + INDEX, variant): read for filename, read in readers.items()}
    choices = [name for pair in zip(whole, sharded, strict=True) for name in pair]
    for name in choices:
        path = source.find(name, choices)
        if path is not None:
            read = whole.get(name)
            tensors = _read_shards(source, path, sharded[name]) if read is None else read(path)
            return StoredTensors(str(path), _join_scales(str(path), tensors))
    if use_safetensors is not None or variant is not None:
        raise source.missing(f"{' or '.join(whole)}, sharded or not,")
    path = source.find(TF)
    if path is None:
        raise source.missing(f"{' or '.join(whole)}, sharded or not, or {TF},")
    return StoredTensors(str(path), read_tf(path))


def _of_variant(filename: str, variant: str | None) -> str:
    name, ending = filename.rsplit(".", 1)
    return f"{name}.{variant}.{ending}" if variant else filename


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
    """All tensors of the files that an index lists; each must be in its listed file."""
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
            raise CheckpointError(f"{index} lists {', '.join(lacking)} in {filename}, which does not have them")
    return tensors


def _read_index(index: Path) -> dict[str, str]:
    """The `weight_map` of an index: tensor name to file name."""
    try:
        if index.stat().st_size > _INDEX_LIMIT:
            raise CheckpointError(f"{index} is larger than {_INDEX_LIMIT >> 20} MB: not an index of tensors")
        files = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        pairs = list(files.items())
    except OSError as error:
        raise CheckpointFileError(f"{index} cannot be read: {error.strerror}") from error
    except (LookupError, TypeError, AttributeError, RecursionError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{index} is not an index of tensors: {type(error).__name__}: {error}") from error
    if not pairs or not all(isinstance(where, str) for _, where in pairs):
        raise CheckpointError(f"{index}: weight_map must map at least one tensor's name to a file's name")
    return dict(pairs)
