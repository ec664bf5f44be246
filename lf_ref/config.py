"""The configuration of a Longformer: Hugging Face's fields and defaults, every rule on them checked once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .allenai import two_sided
from .errors import ConfigError
from .files import locate, write_beside

CONFIG_NAME = "config.json"

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
# A file from a stranger could name numbers whose lists fill the memory, or that do not fit the kernels' integers.
_MOST_LAYERS = 10_000
_MOST_LABELS = 1_000_000
_MOST_WINDOW = 2**30
_TOKEN_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id")
_FLAGS = ("tie_word_embeddings", "output_attentions", "output_hidden_states", "return_dict")
_PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")


class LongformerConfig:
    """What a Longformer is made of: sizes, windows, special token ids, labels.

    Fields and defaults are those of HF's `LongformerConfig`.

    Args:
        attention_window: two-sided, in tokens (512 = 256 on each side), kept as it was given, one even positive number
            or one for each layer; `windows` is always a tuple with one for each layer.
        sep_token_id, pad_token_id, bos_token_id, eos_token_id: ids; positions count from pad_token_id + 1.
        vocab_size, type_vocab_size: rows of the word and of the token-type embeddings.
        max_position_embeddings: rows of the position embeddings; `max_length` says how many tokens that makes.
        hidden_size: width of a token's vector, a multiple of num_attention_heads.
        num_hidden_layers, num_attention_heads: how many. intermediate_size: width of the feed-forward network.
        hidden_act: its activation, one of `ACTIVATIONS`. layer_norm_eps: added to the variance in every norm.
        hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout, initializer_range: for training; kept.
        num_labels: of a classification head; id2label, label2id: their names, of which id2label counts where the two
            contradict each other.
        problem_type: "regression", "single_label_classification", "multi_label_classification", or None for what the
            labels look like; says which loss `LongformerForSequenceClassification` computes.
        tie_word_embeddings: whether the masked-LM head's weights are those of the word embeddings.
        architectures: names of the classes that the checkpoint was saved from.
        output_attentions, output_hidden_states, return_dict: what a call returns where it is not told.
        extra: keys that Longformer does not use, kept and written back.

    Raises:
        ConfigError: a field has the wrong type or value, or two fields contradict each other. The message names the
            field, what came and what was wanted.

    Example:
        >>> config = LongformerConfig(num_hidden_layers=2, attention_window=[32, 64])
        >>> config.windows, config.max_length
        ((32, 64), 510)
    """

    model_type = "longformer"

    def __init__(
        self,
        /,
        attention_window: int | list[int] | tuple[int, ...] = 512,
        sep_token_id: int = 2,
        pad_token_id: int = 1,
        bos_token_id: int = 0,
        eos_token_id: int = 2,
        vocab_size: int = 30522,
        hidden_size: int = 768,
        num_hidden_layers: int = 12,
        num_attention_heads: int = 12,
        intermediate_size: int = 3072,
        hidden_act: str = "gelu",
        hidden_dropout_prob: float = 0.1,
        attention_probs_dropout_prob: float = 0.1,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        initializer_range: float = 0.02,
        layer_norm_eps: float = 1e-12,
        num_labels: int | None = None,
        id2label: Mapping[int | str, str] | None = None,
        label2id: Mapping[str, int | str] | None = None,
        problem_type: str | None = None,
        tie_word_embeddings: bool = True,
        classifier_dropout: float | None = None,
        architectures: list[str] | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
        **extra: Any,
    ) -> None:
        self.attention_window = attention_window
        self.sep_token_id = sep_token_id
        self.pad_token_id = pad_token_id
        self.bos_token_id = bos_token_id
        self.eos_token_id = eos_token_id
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = intermediate_size
        self.hidden_act = hidden_act
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        self.problem_type = problem_type
        self.tie_word_embeddings = tie_word_embeddings
        self.classifier_dropout = classifier_dropout
        self.architectures = architectures
        self.output_attentions = output_attentions
        self.output_hidden_states = output_hidden_states
        self.return_dict = return_dict
        self.extra = dict(extra)
        self._check_sizes()
        self._check_windows()
        self._check_values()
        self.id2label = _id_to_label(id2label, label2id, num_labels)

    # --- what follows from the fields ---------------------------------------------------------------------------

    @property
    def windows(self) -> tuple[int, ...]:
        """Two-sided attention window of each layer, in tokens; checked anew, since the field may have been set."""
        self._check_windows()
        if isinstance(self.attention_window, int):
            return (self.attention_window,) * self.num_hidden_layers
        return tuple(self.attention_window)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def max_length(self) -> int:
        """Longest input in tokens: positions `pad_token_id + 1 ... max_position_embeddings - 1` are usable."""
        return self.max_position_embeddings - self.pad_token_id - 1

    @property
    def label2id(self) -> dict[str, int]:
        """The inverse of `id2label`, which wins where a file's `label2id` contradicts it."""
        return {label: index for index, label in self.id2label.items()}

    @property
    def num_labels(self) -> int:
        """Number of labels of a classification head; setting it gives them HF's names LABEL_0, LABEL_1, ..."""
        return len(self.id2label)

    @num_labels.setter
    def num_labels(self, number: int) -> None:
        if number != len(self.id2label):
            self.id2label = _id_to_label(None, None, number)

    # --- files ----------------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> LongformerConfig:
        """Build a config from the fields of a `config.json`; `null` stands for the default where a value is needed.

        Windows that count one side, as in the configs of AllenAI's own code, are doubled.

        Raises:
            ConfigError: the fields are no JSON object, break a rule, or are those of another model.
        """
        if not isinstance(fields, Mapping):
            raise ConfigError(f"a configuration is a JSON object of fields, got {type(fields).__name__}")
        values = two_sided({str(key): value for key, value in fields.items()})
        _refuse_other_models(values)
        values.pop("model_type", None)
        for key in (
            "dtype",
            "torch_dtype",
        ):  # how the weights were stored; the file of the weights says it itself
            if key in values and not isinstance(values[key], str):
                values.pop(key)
        for key in (*_TOKEN_IDS, "problem_type", "classifier_dropout", "num_labels", "id2label", "label2id"):
            if key in values and values[key] is None:
                values.pop(key)
        return cls(**values)

    @classmethod
    def from_json_file(cls, path: str | Path) -> LongformerConfig:
        """Read the `config.json` at `path`.

        Raises:
            ConfigError: the file cannot be read, is not JSON, or its fields break a rule.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
            fields = json.loads(text)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{path}: not valid JSON: {error}") from error
        try:
            return cls.from_dict(fields)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        **fields: Any,
    ) -> LongformerConfig:
        """Read the config of a folder, a repository on the Hugging Face Hub, or (by default) the bundled demo model.

        name, revision, cache_dir, token, local_files_only: as in `LongformerPreTrainedModel.from_pretrained`. fields:
        those of the config to replace, such as `attention_window=64`.

        Raises:
            ConfigError: a field is not known, or breaks a rule.
            CheckpointError: there is no config to be found.
        """
        source = locate(name, revision=revision, cache_dir=cache_dir, token=token, local_files_only=local_files_only)
        return cls.from_json_file(source.require(CONFIG_NAME)).replaced(**fields)

    def replaced(self, **fields: Any) -> LongformerConfig:
        """This config, checked anew, with some fields replaced; a new number of labels replaces their names too.

        Raises:
            ConfigError: a field is not known, or breaks a rule.
        """
        known = self.field_names()
        unknown = [name for name in fields if name not in known]
        if unknown:
            raise ConfigError(
                f"{', '.join(unknown)}: no field of a LongformerConfig; the fields are {', '.join(known)}"
            )
        values = self.to_dict()
        if "num_labels" in fields or "id2label" in fields or "label2id" in fields:
            del values["id2label"], values["label2id"]
        return self.from_dict({**values, **fields})

    @classmethod
    def field_names(cls) -> list[str]:
        """The names of the fields, without those that a file may have beside them."""
        return sorted({*vars(cls()), "num_labels", "label2id"} - {"extra"})

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values, the unknown ones of the source included."""
        fields: dict[str, Any] = {"model_type": self.model_type}
        for key, value in vars(self).items():
            if key in ("extra", "id2label") or (value is None and key != "problem_type"):
                continue
            fields[key] = list(value) if isinstance(value, tuple) else value
        fields["id2label"] = {str(index): label for index, label in self.id2label.items()}
        fields["label2id"] = self.label2id
        return {**self.extra, **fields}

    def to_json_string(self) -> str:
        """The fields as the text of a `config.json`."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` into `folder`, which is made where it is missing."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_beside(folder / CONFIG_NAME, self.to_json_string().encode())

    def __getattr__(self, name: str) -> Any:
        extra = vars(self).get("extra", {})
        if name in extra:
            return extra[name]
        raise AttributeError(f"a LongformerConfig has no {name!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LongformerConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"LongformerConfig {self.to_json_string()}"

    # --- rules ------------------------------------------------------------------------------------------------------

    def _check_sizes(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            if not _is_int(value) or value < 1:
                raise ConfigError(f"{name} must be a positive integer, got {value!r}")
        if self.num_hidden_layers > _MOST_LAYERS:
            raise ConfigError(f"num_hidden_layers must be at most {_MOST_LAYERS}, got {self.num_hidden_layers}")
        if self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"hidden_size must be a multiple of num_attention_heads, got {self.hidden_size} and "
                f"{self.num_attention_heads}"
            )
        for name in _TOKEN_IDS:
            value = getattr(self, name)
            if not _is_int(value) or value < 0:
                raise ConfigError(f"{name} must be an integer of at least 0, got {value!r}")
        if self.pad_token_id >= self.vocab_size:
            raise ConfigError(f"pad_token_id must lie below vocab_size {self.vocab_size}, got {self.pad_token_id}")
        if self.max_length < 1:
            raise ConfigError(
                f"max_position_embeddings must be at least pad_token_id + 2 = {self.pad_token_id + 2} to hold one "
                f"token, got {self.max_position_embeddings}"
            )

    def _check_windows(self) -> None:
        window = self.attention_window
        if isinstance(window, tuple | list):
            if len(window) != self.num_hidden_layers:
                raise ConfigError(
                    f"attention_window must be one number or one for each of the {self.num_hidden_layers} layers "
                    f"(num_hidden_layers), got {len(window)}: {list(window)!r}"
                )
            self.attention_window = list(window)
            named = {f"attention_window[{layer}]": value for layer, value in enumerate(window)}
        else:
            named = {"attention_window": window}
        for name, value in named.items():
            if not _is_int(value) or not 2 <= value <= _MOST_WINDOW or value % 2:
                raise ConfigError(
                    f"{name} must be an even number (both sides together) from 2 to {_MOST_WINDOW}, got {value!r}"
                )

    def _check_values(self) -> None:
        if not isinstance(self.hidden_act, str) or self.hidden_act not in ACTIVATIONS:
            raise ConfigError(f"hidden_act must be one of {', '.join(ACTIVATIONS)}, got {self.hidden_act!r}")
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be true or false, got {getattr(self, name)!r}")
        eps = self.layer_norm_eps
        if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < 1:
            raise ConfigError(f"layer_norm_eps must be a number between 0 and 1, got {eps!r}")
        if self.problem_type is not None and self.problem_type not in _PROBLEM_TYPES:
            raise ConfigError(f"problem_type must be one of {', '.join(_PROBLEM_TYPES)}, got {self.problem_type!r}")
        kind = self.extra.get("position_embedding_type")
        if kind not in (None, "absolute"):
            raise ConfigError(f"position_embedding_type {kind!r} is not supported: Longformer's are 'absolute'")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refuse_other_models(fields: Mapping[str, Any]) -> None:
    model_type = fields.get("model_type", "longformer")
    if model_type != "longformer":
        raise ConfigError(f"model_type must be 'longformer', got {model_type!r}: this is another kind of model")
    if fields.get("is_decoder_only"):
        # microsoft/longcoder-base says model_type "longformer" too; its class adds bridge and memory tokens.
        raise ConfigError(
            "is_decoder_only marks a LongCoder model: it says model_type 'longformer' but attends differently, so "
            "its numbers would be silently wrong here"
        )


def _id_to_label(
    id2label: Mapping[int | str, str] | None, label2id: Mapping[str, int | str] | None, num_labels: int | None
) -> dict[int, str]:
    """The labels in order of their id; ids may come as strings, as JSON keys do."""
    if num_labels is not None and (not _is_int(num_labels) or not 1 <= num_labels <= _MOST_LABELS):
        raise ConfigError(f"num_labels must be an integer from 1 to {_MOST_LABELS}, got {num_labels!r}")
    try:
        if id2label is not None:
            labels = {int(index): str(label) for index, label in id2label.items()}
        elif label2id is not None and num_labels is None:
            labels = {int(index): str(label) for label, index in label2id.items()}
        else:
            labels = {index: f"LABEL_{index}" for index in range(2 if num_labels is None else num_labels)}
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"id2label must map integer ids to labels: {error}") from error
    if sorted(labels) != list(range(len(labels))) or not labels:
        raise ConfigError(f"id2label must number its labels 0 ... n-1 without a gap, got {sorted(labels)!r}")
    return {index: labels[index] for index in sorted(labels)}
