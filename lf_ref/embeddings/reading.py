"""Reading the settings of sentence-transformers' modules.

Files come from strangers: each value is used, or refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import StoredTensors, open_tensors
from ..config import LongformerConfig
from ..errors import CheckpointError
from ..reference.ops import Array
from ..tokenizer.arguments import shown
from ..tokenizer.files.json_values import expect, read_json
from .folder import CONFIG, SETTINGS, TRANSFORMER, Module, SentenceFolder
from .modules import ACTIVATIONS, PROMPTS, SIMILARITIES, Dense, LayerNorm, Normalize, SentenceModules, Step
from .pooling import MODES

# The flags of older configs, in the order in which the vectors are joined.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Values of the Transformer's settings that change nothing; any other is refused.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "do_lower_case": (False, None),
    "transformer_task": ("feature-extraction",),
    "module_output_name": ("token_embeddings",),
    "modality_config": ({"text": {"method": "forward", "method_output_name": "last_hidden_state"}},),
    "processing_kwargs": ({}, None),
    **dict.fromkeys(("config_args", "config_kwargs"), ({}, None)),
}
# What the arguments of model and tokenizer may set: that which changes no value, and the length.
_MODEL_ARGUMENTS = ("torch_dtype", "dtype", "attn_implementation", "add_pooling_layer")
LENGTH, TOKENIZER_LENGTH = "max_seq_length", "model_max_length"
TOKENIZER_ARGUMENTS = ("tokenizer_args", "processor_kwargs")
_VECTOR = "sentence_embedding"  # what each module reads and writes


def read_modules(folder: SentenceFolder, config: LongformerConfig) -> SentenceModules:
    """Read the modules that follow the encoder, which has this config.

    Raises:
        CheckpointError: a file is missing or damaged, a setting is not supported, or widths do not fit each other.
    """
    path, settings = _settings(folder, "", SETTINGS)
    if settings.get("model_type", "SentenceTransformer") != "SentenceTransformer":
        raise CheckpointError(f"{path}: model_type must be SentenceTransformer, got {shown(settings['model_type'])}")
    prompts = expect(settings.get("prompts") or {}, dict, f"{path}: prompts")
    prompts = PROMPTS | {name: text for name, text in prompts.items() if text is not None}
    for name, text in prompts.items():
        expect(text, str, f"{path}: the prompt {name}")
    default = settings.get("default_prompt_name")
    if default is not None and expect(default, str, f"{path}: default_prompt_name") not in prompts:
        raise CheckpointError(f"{path}: default_prompt_name {shown(default)} is none of {', '.join(prompts)}")
    similarity = settings.get("similarity_fn_name") or SIMILARITIES[0]
    if similarity not in SIMILARITIES:
        raise CheckpointError(
            f"{path}: similarity_fn_name must be one of {', '.join(SIMILARITIES)}, got {similarity!r}"
        )
    modes, include_prompt = _pooling(folder, folder.modules[1], config.hidden_size)
    steps, width = [], len(modes) * config.hidden_size
    for module in folder.modules[2:]:
        if module.kind in _STEPS:
            step = _STEPS[module.kind](folder, module, width)
            steps.append(step)
            width = step.width(width)
    return SentenceModules(
        modes=modes,
        include_prompt=include_prompt,
        steps=tuple(steps),
        prompts=prompts,
        default_prompt_name=default,
        max_seq_length=_length(folder),
        similarity=similarity,
        truncate_dim=_count(settings.get("truncate_dim"), f"{path}: truncate_dim"),
    )


def _settings(folder: SentenceFolder, inner: str, *names: str) -> tuple[Path | str, dict[str, Any]]:
    """The path and the object of the first of these files that is there; an empty object for none."""
    source = folder.source(inner)
    for name in names:
        path = source.find(name)
        if path is not None:
            return path, read_json(path)
    return source.name, {}


def _count(value: Any, where: str) -> int | None:
    if value is not None and expect(value, int, where) < 1:
        raise CheckpointError(f"{where} must be positive, got {value}")
    return value


def _length(folder: SentenceFolder) -> int | None:
    """The longest row that the settings of the Transformer allow; the smallest wins."""
    path, settings = _settings(folder, folder.modules[0].path, *TRANSFORMER)
    for name, values in _NEUTRAL.items():
        if name in settings and settings[name] not in values:
            raise CheckpointError(
                f"{path}: {name} {shown(settings[name])} is not supported; supported is {values[0]!r}"
            )
    lengths = [_count(settings.get(LENGTH), f"{path}: {LENGTH}")]
    for names, known in (
        (("model_args", "model_kwargs"), _MODEL_ARGUMENTS),
        (TOKENIZER_ARGUMENTS, (TOKENIZER_LENGTH,)),
    ):
        for name in names:
            given = expect(settings.get(name) or {}, dict, f"{path}: {name}")
            for unknown in given.keys() - {*known}:
                raise CheckpointError(f"{path}: {name} sets {unknown!r:.80}, which is not supported; take it out")
            if TOKENIZER_LENGTH in given:
                lengths.append(_count(given[TOKENIZER_LENGTH], f"{path}: {name}: {TOKENIZER_LENGTH}"))
    return min((length for length in lengths if length is not None), default=None)


def _pooling(folder: SentenceFolder, module: Module, hidden_size: int) -> tuple[tuple[str, ...], bool]:
    """The modes, in the order in which their vectors are joined, and whether the prompt is pooled."""
    path, config = _config(folder, module)
    if "pooling_mode" in config:
        given = config["pooling_mode"]
        modes = given if isinstance(given, list) else [given]
    else:
        modes = [mode for flag, mode in _FLAGS.items() if expect(config.get(flag, False), bool, f"{path}: {flag}")]
        unknown = [key for key in config if key.startswith("pooling_mode") and key not in _FLAGS]
        modes = unknown or modes or ["mean"]
    for mode in modes or [None]:
        if mode not in MODES:
            raise CheckpointError(f"{path}: pooling_mode must be of {', '.join(MODES)}, got {shown(mode)}")
    for name in ("embedding_dimension", "word_embedding_dimension"):
        _fits(config.get(name), hidden_size, f"{path}: {name}")
    return tuple(modes), expect(config.get("include_prompt", True), bool, f"{path}: include_prompt")


def _config(folder: SentenceFolder, module: Module) -> tuple[Path, dict[str, Any]]:
    path = folder.source(module.path).require(CONFIG)
    config = read_json(path)
    for name in ("module_input_name", "module_output_name"):
        if config.get(name) not in (None, _VECTOR):
            raise CheckpointError(f"{path}: {name} must be {_VECTOR}, got {shown(config[name])}")
    return path, config


def _fits(given: Any, wanted: int, where: str) -> None:
    if given is not None and given != wanted:
        raise CheckpointError(f"{where} is {shown(given)}, and the vectors that come in have {wanted} elements")


def _tensor(tensors: StoredTensors, name: str, shape: tuple[int, ...]) -> Array:
    tensor = tensors.pop(name, None)
    if tensor is None or tensor.shape != shape:
        got = "missing" if tensor is None else f"of shape {tensor.shape}"
        raise CheckpointError(f"{tensors.origin}: {name} must have shape {shape}, got one that is {got}")
    return tensor.array(np.float64)


def _all_used(tensors: StoredTensors) -> None:
    if tensors:
        raise CheckpointError(f"{tensors.origin}: no module uses {', '.join(map(repr, tensors))}")


def _dense(folder: SentenceFolder, module: Module, width: int) -> Step:
    path, config = _config(folder, module)
    _fits(config.get("in_features"), width, f"{path}: in_features")
    rows = expect(config.get("out_features"), int, f"{path}: out_features")
    kind = expect(config.get("activation_function", "torch.nn.Tanh"), str, f"{path}: activation_function")
    activation = kind.rpartition(".")[2]
    if not kind.startswith("torch.nn.") or activation not in ACTIVATIONS:
        raise CheckpointError(
            f"{path}: activation_function {kind} is not supported; supported of torch.nn are {', '.join(ACTIVATIONS)}"
        )
    tensors = open_tensors(folder.source(module.path))
    weight = _tensor(tensors, "linear.weight", (rows, width))
    has_bias = expect(config.get("bias", True), bool, f"{path}: bias")
    bias = _tensor(tensors, "linear.bias", (rows,)) if has_bias else np.zeros(rows)
    residual = None
    if expect(config.get("use_residual", False), bool, f"{path}: use_residual"):
        residual = np.empty((0, 0)) if rows == width else _tensor(tensors, "residual.weight", (rows, width))
    _all_used(tensors)
    return Dense(weight, bias, activation, residual)


def _layer_norm(folder: SentenceFolder, module: Module, width: int) -> Step:
    path, config = _config(folder, module)
    _fits(config.get("dimension"), width, f"{path}: dimension")
    tensors = open_tensors(folder.source(module.path))
    step = LayerNorm(_tensor(tensors, "norm.weight", (width,)), _tensor(tensors, "norm.bias", (width,)))
    _all_used(tensors)
    return step


def _normalize(folder: SentenceFolder, module: Module, width: int) -> Step:
    if folder.find(module, CONFIG):  # the folder is empty in older checkpoints, so that git and the Hub have none
        _config(folder, module)
    return Normalize()


# Dropout does nothing in a forward run.
_STEPS: dict[str, Callable[[SentenceFolder, Module, int], Step]] = {
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Normalize": _normalize,
}
