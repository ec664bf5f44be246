"""Models, tokenizers and configs for `pipeline`: the given ones, or loaded by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..config import CONFIG_NAME, LongformerConfig
from ..errors import CheckpointError, InputError
from ..files import DEMO, locate
from ..model.base import LongformerPreTrainedModel
from ..tokenizer import LongformerTokenizer
from .base import Pipeline, not_ours

Name = str | os.PathLike[str] | None
# Arguments that pick the files of models, tokenizers and configs alike.
SOURCE = ("revision", "cache_dir", "token", "local_files_only", "subfolder", "force_download")


def split_arguments(
    source: Mapping[str, Any], loading: Mapping[str, Any], model_kwargs: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments that select files, and the other arguments that load a model; both include model_kwargs.

    Raises:
        InputError: model_kwargs is not a dict, or repeats an argument.
    """
    given = {} if model_kwargs is None else model_kwargs
    if not isinstance(given, Mapping):
        raise InputError(f"model_kwargs must be a dict of arguments, got {type(given).__name__}")
    by_itself = {name: value for name, value in loading.items() if value is not None}
    for name in by_itself.keys() & given.keys():
        raise InputError(f"{name} is given by itself and in model_kwargs; give it once")
    together = {**by_itself, **given}
    picked = {name: together.pop(name) for name in SOURCE if name in together}
    return {**source, **picked}, together


def is_name(given: object) -> bool:
    """Whether this is a folder, a repository id, or None for the bundled checkpoint."""
    return given is None or isinstance(given, str | os.PathLike)


def load_config(config: Any, source: Mapping[str, Any]) -> LongformerConfig:
    """The given config, or that of a name.

    Raises:
        InputError: it is neither.
        CheckpointError, ConfigError: it cannot be loaded.
    """
    if isinstance(config, LongformerConfig):
        return config
    if not is_name(config):
        raise InputError(
            f"config must be a LongformerConfig or the name of a checkpoint, got {type(config).__name__}; a tokenizer "
            "is given as tokenizer="
        )
    return LongformerConfig.from_pretrained(config, **source)


def load_tokenizer(model: Any, tokenizer: Any, source: Mapping[str, Any]) -> LongformerTokenizer:
    """The given tokenizer, that of a name, or by default that of the model.

    Raises:
        InputError: the tokenizer is of another library, or a loaded model has none.
        CheckpointError: it cannot be loaded, with the way out.
    """
    if isinstance(tokenizer, LongformerTokenizer):
        return tokenizer
    if not is_name(tokenizer):
        raise not_ours(
            "tokenizer must be a LongformerTokenizer or the name of a checkpoint", tokenizer, LongformerTokenizer
        )
    if tokenizer is not None:
        return LongformerTokenizer.from_pretrained(tokenizer, **source)
    if not is_name(model):
        raise InputError("a loaded model has no tokenizer: pass tokenizer= too")
    return LongformerTokenizer.from_pretrained(model, **source)


def task_of(model: Any, config: Any, source: Mapping[str, Any], kinds: Iterable[type[Pipeline[Any]]]) -> str:
    """The task of a model, by its class, or by the first class that its config names.

    Raises:
        InputError: neither a task nor a model is given, or the config names no class that has a task.
        CheckpointError, ConfigError: the config cannot be loaded.
    """
    if isinstance(model, LongformerPreTrainedModel):
        names = [type(model).__name__]
    elif model is None and config is None:
        raise InputError("name a task or a model, such as pipeline('fill-mask')")
    else:
        names = load_config(model if config is None else config, source).architectures or []
    for kind in kinds:
        # AllenAI's classes have the same endings, as in RobertaLongForMaskedLM.
        if any(name.endswith(kind.model_class.__name__.removeprefix("Longformer")) for name in names):
            return kind.task
    raise InputError(f"the config names no class with a task ({', '.join(names) or 'none at all'}): name the task")


def check_demo(kind: type[Pipeline[Any]]) -> None:
    """Refuse a task that the bundled model has no head for; the encoder every model has.

    Raises:
        CheckpointError: the message describes the model and the way out.
    """
    held = LongformerConfig.from_json_file(locate(DEMO).require(CONFIG_NAME)).architectures or []
    wanted = kind.model_class.__name__
    if wanted not in ("LongformerModel", *held):
        raise CheckpointError(
            f"the bundled demo model is a {' and '.join(held)}, with no other head, so it cannot do {kind.task}, which "
            f"needs a {wanted}: name a checkpoint that was trained for it with model="
        )
