"""Configurations of AllenAI's own code, from before Longformer was part of HF: their windows count one side.

HF's own configs keep AllenAI's fields where the checkpoint was converted. So windows count one side only in AllenAI's
files: their `model_type`, inherited from RoBERTa, is not "longformer", or their weights are stored under `roberta.`;
see `checkpoint.read_config`. `attention_dilation` and `autoregressive` mean the same in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ConfigError

# AllenAI's names of its implementations; HF's conversion of the same checkpoints says "longformer".
_WINDOWED = ("tvm", "sliding_chunks", "sliding_chunks2", "sliding_chunks3")
_MODE = "attention_mode"
_FIELDS = (_MODE, "attention_dilation", "autoregressive")

IN_DOUBT = (
    "the weights are stored under `roberta.`, as by AllenAI's code, whose windows count one side, but the config says "
    "model_type 'longformer', whose windows count both: let from_pretrained() of a model read the config, or, if its "
    "windows do count both sides, set its attention_mode to 'longformer'"
)


def has_fields(fields: Mapping[str, Any]) -> bool:
    """Whether a config has AllenAI's fields, and not the `attention_mode` "longformer" that a conversion writes."""
    return fields.get(_MODE) != "longformer" and any(name in fields for name in _FIELDS)


def two_sided(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `config.json` with an `attention_window` that counts both sides, as HF's do.

    AllenAI's `attention_window` counts the tokens on each side. Such a config has AllenAI's fields and another
    `model_type` than "longformer". The result has this `model_type`, and of AllenAI's fields those of dilated or causal
    windows, beside the `attention_mode` of a conversion. The prefix `roberta.` alone says nothing: models that were
    made with HF's attention inside a RoBERTa have it too, with two-sided windows.

    Raises:
        ConfigError: the model attends in a way that Longformer's window does not describe: in chunks without overlap,
            or without a window.
    """
    if fields.get("model_type") == "longformer" or not has_fields(fields):
        return dict(fields)
    mode = fields.get(_MODE, _WINDOWED[0])
    if mode not in _WINDOWED:
        raise ConfigError(
            f"attention_mode {mode!r} is another kind of attention than a sliding window; set it to 'sliding_chunks' "
            f"if the model was trained with a window"
        )
    kept = {name: value for name, value in fields.items() if name not in _FIELDS}
    dilation, causal = fields.get("attention_dilation"), fields.get("autoregressive")
    if causal or any(of not in (None, 1) for of in (dilation if isinstance(dilation, list | tuple) else [dilation])):
        kept |= {_MODE: "longformer", "attention_dilation": dilation, "autoregressive": causal}
    window = fields.get("attention_window")
    doubled = [_double(one_sided) for one_sided in window] if isinstance(window, list | tuple) else _double(window)
    return {**kept, "model_type": "longformer", "attention_window": doubled}


def _double(one_sided: Any) -> int:
    if isinstance(one_sided, bool) or not isinstance(one_sided, int):
        raise ConfigError(f"attention_window must be integers, in tokens, got {one_sided!r}")
    return 2 * one_sided
