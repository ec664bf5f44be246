"""The config of a checkpoint, whose weights can decide what its fields mean."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from .. import allenai
from ..config import CONFIG_NAME, LongformerConfig, config_of
from ..config_rules import read_fields
from ..errors import CheckpointFileError
from ..files import Source
from .names import is_under_roberta
from .tensors import open_tensors


def read_config(
    source: Source, given: Iterable[str] = (), use_safetensors: bool | None = None, variant: str | None = None
) -> LongformerConfig:
    """Read the `config.json` of a checkpoint.

    Fields of AllenAI's code beside a `model_type` "longformer" are in doubt: HF keeps and ignores them in what it has
    converted, and people write this `model_type` into AllenAI's files. The names of the weights decide: AllenAI's begin
    with `roberta.`, and the windows beside them count one side. Only then are weights looked at. For the config alone,
    as `LongformerConfig.from_pretrained` reads it, `model_type` decides, and `bind` refuses such weights with it.

    Args:
        source: where the files are.
        given: names of weights, for a checkpoint that holds none.
        use_safetensors, variant: as for `open_tensors`.

    Raises:
        ConfigError: the config is not that of a Longformer, or breaks a rule.
        CheckpointError: there is no config, or a file of weights that decides its meaning is damaged.
    """
    path = source.require(CONFIG_NAME)
    fields = read_fields(path)
    if isinstance(fields, dict) and fields.get("model_type") == "longformer" and allenai.has_fields(fields):
        with suppress(CheckpointFileError):  # a config without weights
            given = open_tensors(source, use_safetensors, variant)
        if is_under_roberta(given):
            del fields["model_type"]
    return config_of(path, fields)
