"""Detect configurations of a Longformer, and name the way out for those of other models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import allenai
from .errors import ConfigError

# RoBERTa with other vocabularies; a Longformer has its embeddings, feed-forward networks and heads.
ROBERTAS = ("roberta", "xlm-roberta", "camembert")
_ENCODER_DECODERS = (
    *("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "encoder-decoder", "fsmt", "led", "longt5"),
    *("m2m_100", "marian", "mbart", "mt5", "mvp", "nllb-moe", "pegasus", "pegasus_x", "plbart", "prophetnet"),
    *("switch_transformers", "t5", "umt5", "vision-encoder-decoder", "xlm-prophetnet"),
)
_ANY = "AutoModelForSeq2SeqLM"
_DECODER_FIELDS = ("decoder_layers", "num_decoder_layers", "decoder")


def as_longformer(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a `config.json` as HF's Longformer has them, with its `model_type` and two-sided windows.

    A RoBERTa whose self-attention was replaced by HF's of Longformer, as in AllenAI's `RobertaLongForMaskedLM`, is a
    Longformer: it has an `attention_window`, two-sided unless there are fields of AllenAI's own code.

    Raises:
        ConfigError: they are of another model, such as an encoder-decoder.
    """
    _refuse_encoder_decoders(fields)
    fields = allenai.two_sided(fields)
    model_type = fields.get("model_type")
    if model_type is None or (model_type in ROBERTAS and "attention_window" in fields):
        model_type = "longformer"
    if model_type != "longformer":
        without = " without an attention_window" if model_type in ROBERTAS else ""
        raise ConfigError(
            f"model_type must be 'longformer', got {model_type!r:.80}{without}: this is another kind of model, "
            f"which HF transformers may run; name a Longformer, such as 'allenai/longformer-base-4096'"
        )
    if fields.get("is_decoder_only"):
        # microsoft/longcoder-base says model_type "longformer" too; its class adds bridge and memory tokens.
        raise ConfigError(
            "is_decoder_only marks a LongCoder model: it says model_type 'longformer' but attends differently, so "
            "its results would be silently wrong here"
        )
    return {**fields, "model_type": model_type}


def _refuse_encoder_decoders(fields: Mapping[str, Any]) -> None:
    model_type, architectures = fields.get("model_type"), fields.get("architectures")
    classes = list(map(str, architectures)) if isinstance(architectures, list | tuple) else []
    if not (
        fields.get("is_encoder_decoder")
        or any("EncoderDecoder" in name or "ConditionalGeneration" in name for name in classes)
        or model_type in _ENCODER_DECODERS
        or (model_type != "longformer" and any(fields.get(name) for name in _DECODER_FIELDS))
    ):
        return
    is_led = model_type == "led" or allenai.has_fields(fields)
    wanted = "LEDForConditionalGeneration" if is_led else (classes or [_ANY])[0]
    raise ConfigError(encoder_decoder(f"{model_type or (classes or ['is_encoder_decoder'])[0]!s:.80}", wanted))


def encoder_decoder(what: str, wanted: str = _ANY) -> str:
    """The message for a model that generates text; what: the field that shows it, wanted: HF's class that runs it."""
    return (
        f"{what}: this is an encoder-decoder, which generates text, and lf_ref runs encoders only; use "
        f"{wanted:.80} of HF transformers"
    )
