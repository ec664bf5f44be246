"""Making a Longformer of a RoBERTa, lengthening one, and putting a checkpoint into safetensors.

The method is that of AllenAI's convert_model_to_long.ipynb (https://github.com/allenai/longformer): global attention
begins as a copy of local attention, and the position embeddings are repeated block by block, so that each block looks
as the texts did that the model was trained on.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import allenai
from .checkpoint import HEADS, StoredTensor, StoredTensors, expected_shapes, open_tensors, read_config
from .checkpoint.binding import check_fit
from .checkpoint.copying import kept, write_copy
from .checkpoint.names import ENCODER_PARTS, stored_name, without_wrappers
from .checkpoint.saving import stored_form
from .checkpoint.stored import same
from .config import CONFIG_NAME, LongformerConfig, config_of
from .config_rules import read_fields
from .embeddings.copying import copy_modules, encoder_of
from .errors import CheckpointError, ConfigError, InputError
from .files import Source
from .hf_names import accepts, accepts_names
from .other_models import ROBERTAS
from .tokenizer import LongformerTokenizer
from .tokenizer.files.checkpoint import VOCABULARIES, read_checkpoint

MAX_TOKENS, WINDOW = 4096, 512

_KINDS = (*ROBERTAS, "longformer", None)  # None is read as a Longformer everywhere

_POSITIONS = "embeddings.position_embeddings.weight"
_CLASS = re.compile(r"(?:For(?:MaskedLM|(?:Sequence|Token)Classification|QuestionAnswering|MultipleChoice)|Model)$")
_PROJECTION = re.compile(r"(encoder\.layer\.\d+\.attention\.self\.(?:query|key|value))(\.(?:weight|bias))")
_DECODERS = ("is_decoder", "add_cross_attention")
_OF_ROBERTA = ("position_embedding_type", "use_cache", *_DECODERS)  # of no meaning in a Longformer


@accepts()
@dataclass(frozen=True)
class Conversion:
    """What `convert` made.

    config: of the result. source_tokens: the longest input of the source. equal_tokens: the longest text for which the
    result gives what the source gives; global attention, and longer texts, want further training.
    """

    config: LongformerConfig
    source_tokens: int
    equal_tokens: int


@accepts_names()
def convert(
    name: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    max_tokens: int | None = None,
    window: int | None = None,
    shorten: bool = False,
    without_tokenizer: bool = False,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    subfolder: str | None = "",
) -> Conversion:
    """Write a RoBERTa as a Longformer, or a Longformer for longer texts or with another window, as AllenAI's notebook.

    Query, key and value are copied into their global twins where these are missing. The position embeddings are
    repeated, in blocks of as many as there are. All else is copied: labels, heads, pooler, dtype, tokenizer, and the
    modules of a checkpoint of sentence-transformers, whose max_seq_length becomes max_tokens where it is set.

    Args:
        name: the source, a folder or the id of a Hub repository: model_type roberta, xlm-roberta, camembert or
            longformer.
        folder: to write to; it is created if missing.
        max_tokens: longest input of the result, in tokens; None for 4096, or that of the source if it is longer.
        window: two-sided attention window of all layers, in tokens; None for 512, or those that the source has.
        shorten: whether max_tokens may be less than that of the source, whose last positions are then dropped.
        without_tokenizer: leave the tokenizer out, such as one of another kind than byte-level BPE.
        revision, cache_dir, token, local_files_only, subfolder: as in `LongformerPreTrainedModel.from_pretrained`.

    Raises:
        ConfigError: the source is another kind of model, a decoder, has relative positions or no pad_token_id.
        CheckpointError: its files cannot be read, do not fit its class, or its tokenizer is of another kind; a module
            of sentence-transformers is not supported; the folder is that of the source.
        InputError: max_tokens or window cannot be.
        OSError: the folder cannot be written.
    """
    max_tokens, window = _multiple("max_tokens", max_tokens, 1), _multiple("window", window, 2)
    where = {
        "revision": revision,
        "cache_dir": cache_dir,
        "token": token,
        "local_files_only": local_files_only,
        "subfolder": subfolder,
    }
    source, inner, modules = encoder_of(name, folder, where)
    before, is_roberta = _read_config(source)
    tokens = max(MAX_TOKENS, before.max_tokens) if max_tokens is None else max_tokens
    if tokens < before.max_tokens and not shorten:
        raise InputError(
            f"max_tokens={tokens} is less than the {before.max_tokens} tokens that {source.name} takes; give "
            f"shorten=True to drop its last positions"
        )
    if not without_tokenizer:
        _check_tokenizer(source)
    windows = before.windows if window is None else (window,) * before.num_hidden_layers
    config = before.replaced(max_position_embeddings=tokens + before.pad_token_id + 1, attention_window=list(windows))
    tensors = open_tensors(source)
    parameters = _parameters(tensors, before)
    check_fit(StoredTensors(tensors.origin, parameters), before, _heads(before))
    first = before.pad_token_id + 1
    rows = np.arange(tokens) % before.max_tokens + first
    parameters[_POSITIONS] = _rows(parameters[_POSITIONS], np.concatenate([np.arange(first), rows]))
    bare = all(parameter.startswith(ENCODER_PARTS) for parameter in parameters)
    stored: dict[str, StoredTensor] = {}
    for parameter, tensor in parameters.items():
        stored |= stored_form(stored_name(parameter, "model" if bare else "masked_lm"), tensor)
    write_copy(
        source,
        inner,
        stored,
        config.to_dict(),
        None if without_tokenizer else {"model_max_length": tokens, "tokenizer_class": "LongformerTokenizer"},
    )
    copy_modules(modules, folder, tokens)
    config.name_or_path = str(inner)
    return Conversion(config, before.max_tokens, _equal_tokens(before, config, is_roberta))


@accepts_names()
def to_safetensors(
    name: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    without_tokenizer: bool = False,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    subfolder: str | None = "",
) -> None:
    """Write the weights of a checkpoint as safetensors, of whatever model; a tied decoder is left out, as by HF.

    Names, values and config are those of the source, so HF and this package read the result as they read the source;
    TensorFlow's names become those of HF's torch models, and prefixes that wrappers of a trainer left are taken off.
    The modules of a checkpoint of sentence-transformers are copied.

    Args:
        name: the source, a folder or the id of a Hub repository.
        folder: to write to; it is created if missing.
        without_tokenizer: leave the tokenizer out.
        revision, cache_dir, token, local_files_only, subfolder: as in `LongformerPreTrainedModel.from_pretrained`.

    Raises:
        ConfigError: config.json is not JSON.
        CheckpointError: the files cannot be read; a module of sentence-transformers is not supported; the folder is
            that of the source.
        OSError: the folder cannot be written.
    """
    where = {
        "revision": revision,
        "cache_dir": cache_dir,
        "token": token,
        "local_files_only": local_files_only,
        "subfolder": subfolder,
    }
    source, inner, modules = encoder_of(name, folder, where)
    fields = _read_fields(source)
    tensors = open_tensors(source)
    # The name of a part of another model may be that of a wrapper here, as `model.` of BART.
    plain = without_wrappers(tensors) if fields.get("model_type") in _KINDS else {}
    stored: dict[str, StoredTensor] = {}
    for stored_as in kept(tensors, fields.get("tie_word_embeddings", True) is True):
        stored |= stored_form(plain.get(stored_as) or stored_as, tensors[stored_as])
    write_copy(source, inner, stored, None, None if without_tokenizer else {})
    copy_modules(modules, folder)


def _multiple(name: str, value: Any, step: int) -> int | None:
    """An argument that is None or a positive multiple of `step`."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < step or value % step:
        wanted = "an even number of tokens (both sides together)" if step == 2 else "a number of tokens"
        raise InputError(f"{name}= must be {wanted} of at least {step}, got {value!r:.80}")
    return int(value)


def _read_fields(source: Source) -> dict[str, Any]:
    path = source.require(CONFIG_NAME)
    fields = read_fields(path)
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: a configuration is a JSON object of fields, got {type(fields).__name__}")
    return fields


def _read_config(source: Source) -> tuple[LongformerConfig, bool]:
    """The config of the source as that of a Longformer, and whether it is of a RoBERTa, which has no windows yet."""
    path, fields = source.require(CONFIG_NAME), _read_fields(source)
    kind = fields.get("model_type")
    if kind not in _KINDS:
        why = "; a BERT has a WordPiece tokenizer, and other positions" if kind == "bert" else ""
        raise ConfigError(
            f"{path}: model_type {kind!r:.80} cannot be converted{why}; those that can are {', '.join(ROBERTAS)} and "
            f"longformer"
        )
    for name in _DECODERS:
        if fields.get(name):
            raise ConfigError(f"{path}: {name} is set: this is a decoder, and a Longformer attends to both sides")
    if fields.get("pad_token_id") is None:
        raise ConfigError(
            f"{path} has no pad_token_id, after which positions are counted; write it there (it is 1 for RoBERTa)"
        )
    is_roberta = kind in ROBERTAS and "attention_window" not in fields and not allenai.has_fields(fields)
    if is_roberta:
        config = config_of(path, {**fields, "model_type": "longformer", "attention_window": WINDOW})
    else:
        config = read_config(source)
    if kind in ROBERTAS and fields.get("sep_token_id") is None:
        config = config.replaced(sep_token_id=config.eos_token_id)
    config.extra = {name: value for name, value in config.extra.items() if name not in _OF_ROBERTA}
    if config.architectures:
        config.architectures = [_counterpart(str(path), name) for name in config.architectures]
    return config, is_roberta


def _counterpart(where: str, name: object) -> str:
    """The class of a Longformer that does what another class does."""
    found = _CLASS.search(name) if isinstance(name, str) else None
    if found is None:
        classes = ", ".join(dict.fromkeys(HEADS.values()))
        raise ConfigError(f"{where}: the class {name!r:.80} (architectures) has no counterpart among {classes}")
    return "Longformer" + found[0]


def _heads(config: LongformerConfig) -> list[str]:
    """The heads of the classes that a config names; all where it names none."""
    named = [head for head, name in HEADS.items() if name in (config.architectures or ())]
    return named or list(HEADS)


def _check_tokenizer(source: Source) -> None:
    """Check that the tokenizer of the source, if it has one, is one of a Longformer."""
    if not any(source.find(filename) for filename in VOCABULARIES):
        return
    try:
        LongformerTokenizer(**read_checkpoint(source, {})[0])
    except (CheckpointError, InputError) as error:
        raise CheckpointError(f"{error}; give without_tokenizer=True to convert the weights alone") from error


def _parameters(tensors: StoredTensors, config: LongformerConfig) -> dict[str, StoredTensor]:
    """The tensors by the parameter they are, with the global projections that are missing."""
    parameters: dict[str, StoredTensor] = {}
    known = {parameter for head in HEADS for parameter in expected_shapes(config, head)}
    dropped = []
    for name, parameter in kept(tensors, config.tie_word_embeddings).items():
        if parameter not in known:
            dropped.append(name)
        elif parameter in parameters and not same(tensors[name], parameters[parameter]):
            raise CheckpointError(f"{tensors.origin}: two values of {parameter} differ, of which {name} is one")
        else:
            parameters[parameter] = tensors[name]
    if dropped:
        warnings.warn(
            f"{tensors.origin}: no class uses {len(dropped)} of the weights, which are left out "
            f"({', '.join(f'{name:.100}' for name in dropped[:8])}{', ...' if dropped[8:] else ''})",
            stacklevel=3,
        )
    twins: Mapping[str, StoredTensor] = {
        f"{found[1]}_global{found[2]}": tensor
        for parameter, tensor in parameters.items()
        if (found := _PROJECTION.fullmatch(parameter))
    }
    return {**twins, **parameters}


def _rows(table: StoredTensor, rows: np.ndarray[Any, Any]) -> StoredTensor:
    return StoredTensor(table.dtype, table.data[rows], None if table.scales is None else table.scales[rows])


def _equal_tokens(before: LongformerConfig, after: LongformerConfig, is_roberta: bool) -> int:
    """The longest text that the result encodes as the source does.

    Its positions are the same, and where the windows are not, each token sees all others in both.
    """
    shared = min(before.max_tokens, after.max_tokens)
    if is_roberta:
        return min(shared, min(after.windows) // 2 + 1)
    changed = [min(pair) // 2 + 1 for pair in zip(before.windows, after.windows, strict=True) if pair[0] != pair[1]]
    return min([shared, *changed])
