"""The rules and values of configuration fields; a ConfigError names the field that breaks a rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import CheckpointFileError, ConfigError

# HF's names; "gelu" is the erf form.
ACTIVATIONS = (
    "gelu",
    "gelu_new",
    "gelu_fast",
    "gelu_pytorch_tanh",
    "gelu_python",
    "relu",
    "silu",
    "swish",
    "tanh",
)

_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
# A file from a stranger could ask for lists that fill the memory, or that do not fit the kernels' integers.
_MOST_LAYERS = 10_000
_MOST_LABELS = 1_000_000
_MOST_WINDOW = 2**30
_TOKEN_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id")
_FLAGS = ("tie_word_embeddings", "output_attentions", "output_hidden_states", "return_dict", "autoregressive")
# A label is a word in most checkpoints; where it is a number, HF does not convert it.
Label = str | int | float | None
_PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")


def check_sizes(fields: Mapping[str, Any]) -> None:
    """Check that sizes and token ids are integers in range, and fit each other."""
    for name in _SIZES:
        value = fields[name]
        if not _is_int(value) or value < 1:
            raise ConfigError(f"{name} must be a positive integer, got {value!r}")
    if fields["num_hidden_layers"] > _MOST_LAYERS:
        raise ConfigError(f"num_hidden_layers must be at most {_MOST_LAYERS}, got {fields['num_hidden_layers']}")
    if fields["hidden_size"] % fields["num_attention_heads"]:
        raise ConfigError(
            f"hidden_size must be a multiple of num_attention_heads, got {fields['hidden_size']} and "
            f"{fields['num_attention_heads']}"
        )
    for name in _TOKEN_IDS:
        value = fields[name]
        if not _is_int(value) or value < 0:
            raise ConfigError(f"{name} must be an integer of at least 0, got {value!r}")
    if fields["pad_token_id"] >= fields["vocab_size"]:
        raise ConfigError(
            f"pad_token_id must lie below vocab_size {fields['vocab_size']}, got {fields['pad_token_id']}"
        )
    if fields["max_position_embeddings"] < fields["pad_token_id"] + 2:
        raise ConfigError(
            f"max_position_embeddings must be at least pad_token_id + 2 = {fields['pad_token_id'] + 2} to hold one "
            f"token, got {fields['max_position_embeddings']}"
        )


def check_windows(attention_window: Any, num_hidden_layers: int) -> None:
    """Check the windows: one even number, or one for each layer."""
    if isinstance(attention_window, list):
        if len(attention_window) != num_hidden_layers:
            raise ConfigError(
                f"attention_window must be one number or one for each of the {num_hidden_layers} layers "
                f"(num_hidden_layers), got {len(attention_window)}: {attention_window!r}"
            )
        named = {f"attention_window[{layer}]": value for layer, value in enumerate(attention_window)}
    else:
        named = {"attention_window": attention_window}
    for name, value in named.items():
        if not _is_int(value) or not 2 <= value <= _MOST_WINDOW or value % 2:
            raise ConfigError(
                f"{name} must be an even number (both sides together) from 2 to {_MOST_WINDOW}, got {value!r}"
            )


def check_dilations(attention_dilation: Any, num_hidden_layers: int, num_attention_heads: int) -> None:
    """Check the dilations: one positive number, or one for each layer, or for each layer one for each head."""
    named = {"attention_dilation": attention_dilation}
    sizes = (num_hidden_layers, "layers (num_hidden_layers)"), (num_attention_heads, "heads (num_attention_heads)")
    for count, of in sizes:
        for name, values in list(named.items()):
            if isinstance(values, list):
                if len(values) != count:
                    raise ConfigError(
                        f"{name} must be one number or one for each of the {count} {of}, got {len(values)}: "
                        f"{values!r:.80}"
                    )
                del named[name]
                named |= {f"{name}[{index}]": value for index, value in enumerate(values)}
    for name, value in named.items():
        if not _is_int(value) or not 1 <= value <= _MOST_WINDOW:
            raise ConfigError(f"{name} must be an integer from 1 (no gaps) to {_MOST_WINDOW}, got {value!r:.80}")


def check_values(fields: Mapping[str, Any]) -> None:
    """Check the activation, the flags and the other values of a Longformer that are not sizes."""
    if not isinstance(fields["hidden_act"], str) or fields["hidden_act"] not in ACTIVATIONS:
        raise ConfigError(f"hidden_act must be one of {', '.join(ACTIVATIONS)}, got {fields['hidden_act']!r}")
    for name in _FLAGS:
        if not isinstance(fields[name], bool):
            raise ConfigError(f"{name} must be true or false, got {fields[name]!r}")
    eps = fields["layer_norm_eps"]
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < 1:
        raise ConfigError(f"layer_norm_eps must be a number between 0 and 1, got {eps!r}")
    if fields["problem_type"] is not None and fields["problem_type"] not in _PROBLEM_TYPES:
        raise ConfigError(f"problem_type must be one of {', '.join(_PROBLEM_TYPES)}, got {fields['problem_type']!r}")
    kind = fields["extra"].get("position_embedding_type")
    if kind not in (None, "absolute"):
        raise ConfigError(f"position_embedding_type {kind!r} is not supported: Longformer's are 'absolute'")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def id_to_label(
    id2label: Mapping[int | str, Label] | None, label2id: Mapping[Label, int | str] | None, num_labels: int | None
) -> dict[int, Label]:
    """The labels in order of their id; ids may come as strings, as JSON keys do. A number stays one, as in HF."""
    if num_labels is not None and (not _is_int(num_labels) or not 1 <= num_labels <= _MOST_LABELS):
        raise ConfigError(f"num_labels must be an integer from 1 to {_MOST_LABELS}, got {num_labels!r}")
    try:
        if id2label is not None:
            labels: dict[int, Label] = {int(index): label for index, label in id2label.items()}
        elif label2id is not None and num_labels is None:
            labels = {int(index): label for label, index in label2id.items()}
        else:
            labels = {index: f"LABEL_{index}" for index in range(2 if num_labels is None else num_labels)}
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"id2label must map integer ids to labels: {error}") from error
    for index, label in labels.items():
        if isinstance(label, np.generic):
            label = labels[index] = label.item()
        if not isinstance(label, str | int | float | None):
            raise ConfigError(f"id2label[{index}] must be a string or a number, got {label!r:.80}")
    if sorted(labels) != list(range(len(labels))) or not labels:
        raise ConfigError(f"id2label must number its labels 0 ... n-1 without a gap, got {sorted(labels)!r}")
    return {index: labels[index] for index in sorted(labels)}


def read_fields(path: str | Path) -> Any:
    """The JSON value in a file; other content is a `ConfigError`, an unreadable file a `CheckpointFileError`."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid JSON: {error}") from error


def plain(value: Any) -> Any:
    """NumPy scalars and arrays as values that JSON can write, also in a list."""
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return value.tolist() if hasattr(value, "tolist") and not isinstance(value, type) else value


def dtype_name(dtype: Any) -> str:
    """The name of a dtype of torch or NumPy; other values as text."""
    if isinstance(dtype, type) and hasattr(dtype, "dtype"):  # NumPy's scalars
        return dtype.__name__
    name = str(dtype).removeprefix("torch.")
    return {"float": "float32", "half": "float16", "double": "float64"}.get(name, name)  # torch's other names
