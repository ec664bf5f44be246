"""Making a checkpoint of a quarter of the size, whichever heads it has."""

from __future__ import annotations

import os

from ..config import LongformerConfig
from ..errors import CheckpointError
from ..files import Source
from .binding import fitting_heads
from .config_file import read_config
from .copying import kept, write_copy
from .names import HEADS, expected_shapes, is_reducible
from .reduced import reduce
from .saving import METHOD, QUANTIZATION, stored_form
from .stored import StoredTensor
from .tensors import open_tensors


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
    for name, parameter in kept(tensors, config.tie_word_embeddings).items():
        tensor = tensors[name]
        reducible = parameter in known and is_reducible(parameter, tensor.shape)
        stored |= stored_form(name, reduce(tensor, "int8")) if reducible else {name: tensor}
    write_copy(source, folder, stored, config.to_dict(), {})


def is_quantized(config: LongformerConfig) -> bool:
    """Whether a config is of a checkpoint that `quantize` made."""
    return config.extra.get(QUANTIZATION) == METHOD
