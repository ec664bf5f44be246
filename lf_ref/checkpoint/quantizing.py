"""Making a checkpoint of a quarter of the size, whichever heads it has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..config import CONFIG_NAME, LongformerConfig
from ..errors import CheckpointError
from ..files import Source, replacing
from .binding import fitting_heads, same
from .config_file import read_config
from .names import DECODER, HEADS, WORDS, expected_shapes, is_reducible, parameters_of
from .reduced import reduce
from .saving import METHOD, QUANTIZATION, stored_form, write_checkpoint
from .stored import StoredTensor, StoredTensors
from .tensors import open_tensors

# What a tokenizer consists of, in one form or another.
_TOKENIZER = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)


def quantize(source: Source, folder: str | os.PathLike[str]) -> None:
    """Write a checkpoint with the weights of linear maps and the word embeddings in 8 bits, and its tokenizer.

    A weight `x.weight` becomes `x.weight_int8`, int8 [rows, columns] from -127 to 127, and `x.weight_scale`, float32
    [rows]: the weight is integer times scale. All else is copied unchanged. The config gets a `quantization_config`
    with the `quant_method` "lf_ref_int8". Loaded with dtype "int8", it equals the original loaded with dtype "int8".

    Raises:
        CheckpointError: the checkpoint cannot be read, fits no class or is quantized already.
        OSError: the folder cannot be written.
    """
    config = read_config(source)
    tensors = open_tensors(source)
    if is_quantized(config) or any(tensor.scales is not None for tensor in tensors.values()):
        raise CheckpointError(f"{source.name} is quantized already; give the checkpoint that it was made from")
    if not fitting_heads(tensors, config):
        raise CheckpointError(f"{tensors.origin}: the weights fit none of the classes; see lf-ref info {source.name}")
    stored: dict[str, StoredTensor] = {}
    known = {parameter for head in HEADS for parameter in expected_shapes(config, head)}
    for name, parameter in _kept(tensors, config).items():
        tensor = tensors[name]
        reducible = parameter in known and is_reducible(parameter, tensor.shape)
        stored |= stored_form(name, reduce(tensor, "int8")) if reducible else {name: tensor}
    folder = Path(folder)
    if folder.resolve() == source.require(CONFIG_NAME).parent.resolve():
        raise CheckpointError(f"{folder} holds the checkpoint that is read; name another folder to write to")
    folder.mkdir(parents=True, exist_ok=True)
    write_checkpoint(folder, stored, config.to_dict())
    for filename in _TOKENIZER:
        path = source.find(filename)
        if path is not None:
            with replacing(folder / filename) as temporary:
                shutil.copyfile(path, temporary)


def is_quantized(config: LongformerConfig) -> bool:
    """Whether a config is of a checkpoint that `quantize` made."""
    return config.extra.get(QUANTIZATION) == METHOD


def _kept(tensors: StoredTensors, config: LongformerConfig) -> dict[str, str]:
    """The tensors that are parameters, and which, without a decoder that only repeats the word embeddings."""
    names = parameters_of(tensors)
    words = next((name for name, parameter in names.items() if parameter == WORDS), None)
    return {
        name: parameter
        for name, parameter in names.items()
        if parameter is not None
        and not (
            parameter == DECODER
            and config.tie_word_embeddings
            and words is not None
            and same(tensors[name], tensors[words])
        )
    }
