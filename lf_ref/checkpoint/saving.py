"""Writing a checkpoint that HF reads without a missing or unexpected name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import LongformerConfig
from ..files import replacing
from .names import DECODER, HEADS, WORDS, expected_shapes, stored_name
from .reduced import Bfloat16Weight, Int8Weight
from .safetensors_file import write_safetensors
from .stored import StoredTensor
from .tensors import INT8, SAFETENSORS, SCALE

# The key of the config that names the quantization, and its value in the files of `quantize`.
QUANTIZATION, METHOD = "quantization_config", {"quant_method": "lf_ref_int8"}


def save(folder: str | os.PathLike[str], parameters: Mapping[str, Any], config: LongformerConfig, head: str) -> None:
    """Write `config.json` and `model.safetensors` into `folder`, which is created if missing.

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
    """The stored form of a parameter: one tensor, or integers and their scales."""
    if isinstance(values, Bfloat16Weight):
        return {name: StoredTensor("bfloat16", values.elements)}
    if isinstance(values, Int8Weight):
        return {
            name + INT8: StoredTensor("int8", values.elements),
            name + SCALE: StoredTensor("float32", values.scales),
        }
    return {name: StoredTensor(values.dtype.name, values)}


def write_checkpoint(folder: Path, stored: Mapping[str, StoredTensor], fields: Mapping[str, Any]) -> None:
    """Write tensors and config, which has a `quantization_config` if tensors are quantized."""
    with replacing(folder / SAFETENSORS) as temporary:
        write_safetensors(temporary, stored)
    dtype = next(tensor.dtype for name, tensor in stored.items() if name.endswith((WORDS, WORDS + INT8)))
    left_out = (QUANTIZATION, "torch_dtype")
    fields = {name: value for name, value in fields.items() if name not in left_out} | {"dtype": dtype}
    if any(name.endswith(INT8) for name in stored):
        fields |= {QUANTIZATION: dict(METHOD), "dtype": "float32"}  # what all else is stored in
    LongformerConfig.from_dict(fields).save_pretrained(folder)
