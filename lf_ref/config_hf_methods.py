"""The methods and attributes of HF's configs that have a meaning for a Longformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .errors import InputError
from .hf_names import LOCATING, Alias, Fixed, HFNamed, HFNames, accepts

Config = TypeVar("Config", bound="HFMethods")

# HF's fields of every model, with its defaults, where they mean nothing to a Longformer: they can be read, and are
# kept where a file has them.
UNUSED: dict[str, Any] = {
    **dict.fromkeys(
        ("add_cross_attention", "do_sample", "early_stopping", "is_decoder", "is_encoder_decoder", "onnx_export"), False
    ),
    **dict.fromkeys(
        ("output_scores", "remove_invalid_values", "return_dict_in_generate", "tf_legacy_loss", "tie_encoder_decoder"),
        False,
    ),
    **dict.fromkeys(("torchscript", "use_bfloat16"), False),
    **dict.fromkeys(("bad_words_ids", "begin_suppress_tokens", "cross_attention_hidden_size", "dtype", "prefix"), None),
    **dict.fromkeys(
        ("decoder_start_token_id", "exponential_decay_length_penalty", "finetuning_task", "forced_bos_token_id"), None
    ),
    **dict.fromkeys(("forced_eos_token_id", "suppress_tokens", "task_specific_params", "tokenizer_class"), None),
    "max_length": 20,
    "min_length": 0,
    "num_beams": 1,
    "num_beam_groups": 1,
    "num_return_sequences": 1,
    "top_k": 50,
    **dict.fromkeys(("temperature", "top_p", "typical_p", "repetition_penalty", "length_penalty"), 1.0),
    **dict.fromkeys(("chunk_size_feed_forward", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size"), 0),
    "diversity_penalty": 0.0,
    "pruned_heads": {},
    "transformers_version": None,
}
# HF's methods of configs that have no meaning here, with what to do in their place.
HINTS = {
    "get_config_dict": "LongformerConfig.from_pretrained(...).to_dict() has the fields",
    "to_diff_dict": "to_dict() has all fields",
    "push_to_hub": "save it with save_pretrained(), then use huggingface_hub.upload_folder",
    "register_for_auto_class": "lf_ref runs no code from repositories, so there is nothing to register",
}
_NO_PUSH = Fixed((False, None), "lf_ref does not upload; use huggingface_hub.upload_folder on the folder")
_ALL_FIELDS = Fixed((True, False), "all fields are written, which HF reads as well")

# HF's arguments of the methods of a config, by method.
NAMES: dict[str, HFNames] = {
    "from_pretrained": {
        **LOCATING,
        "gguf_file": Fixed((None,), "load the checkpoint that the GGUF file was made from"),
    },
    "save_pretrained": {"push_to_hub": _NO_PUSH},
    "to_json_string": {"use_diff": _ALL_FIELDS},
    "to_json_file": {"use_diff": _ALL_FIELDS},
    "from_json_file": {"json_file": Alias("path")},
}


@accepts()
class HFMethods(metaclass=HFNamed):
    """The methods and attributes of HF's configs that have a meaning here. A base of `LongformerConfig`."""

    return_dict: bool

    def update(self, config_dict: Mapping[str, Any]) -> None:
        """Set several attributes of this config, as in HF; config_dict: their values by name.

        Raises:
            InputError: it is not a mapping.
        """
        if not isinstance(config_dict, Mapping):
            raise InputError(f"config_dict must be a mapping of values by name, got {type(config_dict).__name__}")
        for name, value in config_dict.items():
            setattr(self, name, value)

    def get_text_config(self: Config, decoder: bool = False, encoder: bool = False) -> Config:
        """The config itself, as in HF for a model of texts; decoder, encoder: change nothing."""
        return self

    @property
    def use_return_dict(self) -> bool:
        """HF's older name of `return_dict`."""
        return self.return_dict
