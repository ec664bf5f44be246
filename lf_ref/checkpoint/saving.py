"""Writing a checkpoint that HF reads without a missing or unexpected name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import LongformerConfig
from ..files import replacing, write_beside
from .names import DECODER, HEADS, WORDS, expected_shapes, stored_name
from .reduced import Bfloat16Weight, Int8Weight
from .safetensors_file import write_safetensors
from .stored import StoredTensor
from .tensors import INDEX, INT8, SAFETENSORS, SCALE

SHARD = 5_000_000_000  # bytes of the largest file of weights, as in HF
_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5}\.safetensors|\.safetensors(\.index\.json)?)")
# The key of the config that names the quantization, and its value in the files of `quantize`.
QUANTIZATION, METHOD = "quantization_config", {"quant_method": "lf_ref_int8"}


def save(folder: str | os.PathLike[str], parameters: Mapping[str, Any], config: LongformerConfig, head: str) -> None:
    """Write `config.json` and the weights into `folder`, which is created if missing.

    Each file is written beside its place and renamed: the files that the parameters are views of may be replaced.
    A tied decoder is stored once, under the name of the word embeddings, as HF does.

    Args:
        parameters: by the names of `expected_shapes`; their dtype does not change. Integers are stored as by
        `quantize`. config: is written with `architectures` naming the class of `head`, and `dtype` that of the weights.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tied = parameters.get(DECODER) is parameters.get(WORDS)
    stored: dict[str, StoredTensor] = {}
    for name in expected_shapes(config, head):
        if not (tied and name == DECODER):
            stored |= stored_form(stored_name(name, head), parameters[name])
    write_checkpoint(folder, stored, {**config.to_dict(), "architectures": [HEADS[head]]})


def stored_form(name: str, values: Any) -> dict[str, StoredTensor]:
    """The stored form of a parameter, or of a tensor of a file: one tensor, or integers and their scales."""
    if isinstance(values, Bfloat16Weight):
        return {name: StoredTensor("bfloat16", values.elements)}
    if isinstance(values, Int8Weight):
        values = StoredTensor("int8", values.elements, values.scales)
    if not isinstance(values, StoredTensor):
        return {name: StoredTensor(values.dtype.name, values)}
    if values.scales is None:
        return {name: values}
    return {name + INT8: StoredTensor("int8", values.data), name + SCALE: StoredTensor("float32", values.scales)}


def write_checkpoint(folder: Path, stored: Mapping[str, StoredTensor], fields: Mapping[str, Any]) -> None:
    """Write tensors and config, which has a `quantization_config` if tensors are quantized."""
    write_weights(folder, stored)
    dtype = next(tensor.dtype for name, tensor in stored.items() if name.endswith((WORDS, WORDS + INT8)))
    left_out = (QUANTIZATION, "torch_dtype")
    fields = {name: value for name, value in fields.items() if name not in left_out} | {"dtype": dtype}
    if any(name.endswith(INT8) for name in stored):
        fields |= {QUANTIZATION: dict(METHOD), "dtype": "float32"}  # what all else is stored in
    LongformerConfig.from_dict(fields).save_pretrained(folder)


def write_weights(folder: Path, stored: Mapping[str, StoredTensor]) -> None:
    """Write tensors into `model.safetensors`, or into several files and their index where one would exceed `SHARD`.

    Files of weights that an earlier call wrote under other names are removed: they would be read too, or instead.
    """
    shards = _shards(stored)
    written = [SAFETENSORS]
    if len(shards) > 1:
        written = [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    for filename, shard in zip(written, shards, strict=True):
        with replacing(folder / filename) as temporary:
            write_safetensors(temporary, shard)
    if len(shards) > 1:
        files = {name: filename for filename, shard in zip(written, shards, strict=True) for name in shard}
        total = sum(tensor.nbytes for tensor in stored.values())
        index = {"metadata": {"total_size": total}, "weight_map": files}
        written.append(SAFETENSORS + INDEX)
        write_beside(folder / written[-1], json.dumps(index, indent=2).encode())
    for path in folder.iterdir():
        if _WEIGHTS.fullmatch(path.name) and path.name not in written:
            path.unlink()


def _shards(stored: Mapping[str, StoredTensor]) -> list[dict[str, StoredTensor]]:
    """The tensors in the order given, cut where a file would exceed `SHARD`."""
    shards: list[dict[str, StoredTensor]] = [{}]
    size = 0
    for name, tensor in stored.items():
        if shards[-1] and size + tensor.nbytes > SHARD:
            shards.append({})
            size = 0
        shards[-1][name] = tensor
        size += tensor.nbytes
    return shards
