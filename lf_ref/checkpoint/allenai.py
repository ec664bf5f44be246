"""Configurations of AllenAI's own code, from before Longformer was part of HF."""

from __future__ import annotations

from ..config import LongformerConfig
from ..errors import ConfigError

# AllenAI's names of its implementations; HF's conversion of the same checkpoints says "longformer".
_WINDOWED = ("tvm", "sliding_chunks", "sliding_chunks2", "sliding_chunks3")
_FIELDS = ("attention_mode", "attention_dilation", "autoregressive")


def adapt_config(config: LongformerConfig) -> LongformerConfig:
    """A config whose `attention_window` counts both sides; one that is HF's already comes back as it is.

    AllenAI's `attention_window` counts the tokens on each side, one number for each layer. Such a config is known by
    its fields `attention_dilation` and `autoregressive`, which AllenAI's code always has and HF's never, or by an
    `attention_mode` of AllenAI's. The prefix `roberta.` of the weights tells nothing: models that were made with HF's
    attention inside a RoBERTa have it too, with two-sided windows. The result says `attention_mode` "longformer", so
    adapting it again changes nothing.

    Raises:
        ConfigError: the model attends in a way that Longformer's window does not describe: dilated, autoregressive, in
            chunks without overlap, or without a window.
    """
    mode = config.extra.get("attention_mode", "longformer" if not _is_allenai(config) else _WINDOWED[0])
    if mode == "longformer":
        return config
    if mode not in _WINDOWED:
        raise ConfigError(
            f"attention_mode {mode!r} is another kind of attention than a sliding window; set it to 'sliding_chunks' "
            f"if the model was trained with a window"
        )
    dilation = config.extra.get("attention_dilation")
    dilations = dilation if isinstance(dilation, list) else [dilation]
    if any(value not in (None, 1) for value in dilations):
        raise ConfigError(f"attention_dilation other than 1 is not supported, got {dilation!r}")
    if config.extra.get("autoregressive"):
        raise ConfigError("autoregressive attention is not supported: Longformer's window has two sides")
    fields = {name: value for name, value in config.to_dict().items() if name not in _FIELDS}
    fields["attention_window"] = [2 * one_sided for one_sided in config.windows]
    return LongformerConfig.from_dict({**fields, "attention_mode": "longformer"})


def _is_allenai(config: LongformerConfig) -> bool:
    return "attention_dilation" in config.extra or "autoregressive" in config.extra
