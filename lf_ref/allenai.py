"""Configurations of AllenAI's own code, from before Longformer was part of HF: their windows count one side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ConfigError

# AllenAI's names of its implementations; HF's conversion of the same checkpoints says "longformer".
_WINDOWED = ("tvm", "sliding_chunks", "sliding_chunks2", "sliding_chunks3")
_FIELDS = ("attention_mode", "attention_dilation", "autoregressive")


def two_sided(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `config.json` with an `attention_window` that counts both sides, as HF's do.

    AllenAI's `attention_window` counts the tokens on each side. Such a config is known by its fields
    `attention_dilation` and `autoregressive`, which AllenAI's code always has and HF's never, or by an `attention_mode`
    of AllenAI's. The prefix `roberta.` of the weights tells nothing: models that were made with HF's attention inside a
    RoBERTa have it too, with two-sided windows. The result says `attention_mode` "longformer", so a second time changes
    nothing. Its `model_type`, which AllenAI's class inherits from RoBERTa, becomes "longformer" too.

    Raises:
        ConfigError: the model attends in a way that Longformer's window does not describe: dilated, autoregressive, in
            chunks without overlap, or without a window.
    """
    is_allenai = "attention_dilation" in fields or "autoregressive" in fields
    mode = fields.get("attention_mode", _WINDOWED[0] if is_allenai else "longformer")
    if mode == "longformer":
        return dict(fields)
    if mode not in _WINDOWED:
        raise ConfigError(
            f"attention_mode {mode!r} is another kind of attention than a sliding window; set it to 'sliding_chunks' "
            f"if the model was trained with a window"
        )
    dilation = fields.get("attention_dilation")
    dilations = dilation if isinstance(dilation, list) else [dilation]
    if any(value not in (None, 1) for value in dilations):
        raise ConfigError(f"attention_dilation other than 1 is not supported, got {dilation!r}")
    if fields.get("autoregressive"):
        raise ConfigError("autoregressive attention is not supported: Longformer's window has two sides")
    kept = {name: value for name, value in fields.items() if name not in _FIELDS}
    window = fields.get("attention_window")
    doubled = [_double(one_sided) for one_sided in window] if isinstance(window, list | tuple) else _double(window)
    return {**kept, "model_type": "longformer", "attention_mode": "longformer", "attention_window": doubled}


def _double(one_sided: Any) -> int:
    if isinstance(one_sided, bool) or not isinstance(one_sided, int):
        raise ConfigError(f"attention_window must hold whole numbers of tokens, got {one_sided!r}")
    return 2 * one_sided
