"""Writing a checkpoint that HF reads without a missing or unexpected name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors.numpy import save_file

from ..config import LongformerConfig
from ..files import replacing
from .names import DECODER, HEADS, WORDS, expected_shapes, stored_name
from .stored import Array
from .tensors import SAFETENSORS


def save(folder: str | os.PathLike[str], parameters: Mapping[str, Array], config: LongformerConfig, head: str) -> None:
    """Write `config.json` and `model.safetensors` into `folder`, which is made where it is missing.

    Each file is written beside its place and renamed: the files that the parameters are views of may be replaced.
    A tied decoder is stored once, under the name of the word embeddings, as HF does.

    Args:
        parameters: by the names of `expected_shapes`; their dtype is kept.
        config: is written with `architectures` naming the class of `head`, and `dtype` that of the weights.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tied = parameters.get(DECODER) is parameters.get(WORDS)
    stored = {
        stored_name(name, head): parameters[name]
        for name in expected_shapes(config, head)
        if not (tied and name == DECODER)
    }
    with replacing(folder / SAFETENSORS) as temporary:
        save_file(stored, temporary, metadata={"format": "pt"})  # HF refuses a file that does not say so
    fields = {name: value for name, value in config.to_dict().items() if name != "torch_dtype"}
    said = {"architectures": [HEADS[head]], "dtype": str(parameters[WORDS].dtype)}
    LongformerConfig.from_dict({**fields, **said}).save_pretrained(folder)
