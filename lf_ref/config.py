"""The configuration of a Longformer: Hugging Face's fields and defaults, every rule on them checked once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any, Literal, overload

from . import config_rules as rules
from .config_hf_methods import HINTS, NAMES, UNUSED, HFMethods
from .config_rules import Label, dtype_name, id_to_label, plain, read_fields
from .errors import ConfigError
from .files import locate, write_beside
from .hf_names import accepts, unknown_attribute, unknown_name
from .other_models import as_longformer

CONFIG_NAME = "config.json"

# The dtype of the stored weights, by HF's newer and older name; the file of the weights has it too.
_DTYPES = {"dtype", "torch_dtype"}
# AllenAI's fields of the paper's other windows: a config that holds these values has them left out, as HF's.
_PLAIN: dict[str, Any] = {"attention_dilation": 1, "autoregressive": False}
_TOKEN_IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "sep_token_id")
_OPTIONAL = ("problem_type", "classifier_dropout", "num_labels", "id2label", "label2id")


@accepts(checks_flags=False, **NAMES)  # the fields have rules of their own, whose breach is a ConfigError
class LongformerConfig(HFMethods):
    """The configuration of a Longformer: sizes, windows, special token ids, labels.

    Fields and defaults are those of HF's `LongformerConfig`; attention_dilation and autoregressive are of AllenAI's own
    code, and HF's ignores them.

    Args:
        attention_window: two-sided, in tokens (512 = 256 on each side), stored as given, one even positive number
            or one for each layer; `windows` is always a tuple with one for each layer.
        sep_token_id, pad_token_id, bos_token_id, eos_token_id: ids; positions count from pad_token_id + 1.
        vocab_size, type_vocab_size: rows of the word and of the token-type embeddings.
        max_position_embeddings: rows of the position embeddings; `max_tokens` is the number of usable ones.
        hidden_size: width of a token's vector, a multiple of num_attention_heads.
        num_hidden_layers, num_attention_heads: how many. intermediate_size: width of the feed-forward network.
        hidden_act: its activation, one of `ACTIVATIONS`. layer_norm_eps: added to the variance in every norm.
        hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout, initializer_range: for training; stored,
        not used. num_labels: of a classification head; id2label, label2id: their names, of which id2label counts where
            the two contradict each other.
        problem_type: "regression", "single_label_classification", "multi_label_classification", or None for what the
            labels look like; selects the loss of `LongformerForSequenceClassification`.
        tie_word_embeddings: whether the masked-LM head's weights are those of the word embeddings.
        architectures: names of the classes that the checkpoint was saved from.
        output_attentions, output_hidden_states, return_dict: defaults of a call.
        attention_dilation: the distance of neighbours in the window, in tokens: one positive number, or one for each
            layer, or for each layer one for each head. The window has as many tokens as without gaps.
        autoregressive: whether each token sees only itself and tokens before it, global tokens too.
        extra: keys that Longformer does not use; they are written back. HF's `max_length`, of generated texts, is one.

    Raises:
        ConfigError: a field has the wrong type or value, or two fields contradict each other. The message names the
            field, what came and what was wanted.

    Example:
        >>> config = LongformerConfig(num_hidden_layers=2, attention_window=[32, 64])
        >>> config.windows, config.max_tokens
        ((32, 64), 510)
    """

    _hf_hints = HINTS
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
        id2label: Mapping[int | str, Label] | None = None,
        label2id: Mapping[Label, int | str] | None = None,
        problem_type: str | None = None,
        tie_word_embeddings: bool = True,
        classifier_dropout: float | None = None,
        architectures: list[str] | None = None,
        output_attentions: bool = False,
        output_hidden_states: bool = False,
        return_dict: bool = True,
        attention_dilation: int | list[int] | list[list[int]] = 1,
        autoregressive: bool = False,
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
        self.attention_dilation = attention_dilation
        self.autoregressive = autoregressive
        self.extra = {name: plain(value) for name, value in extra.items()}
        for name in _DTYPES & extra.keys():
            self.extra[name] = dtype_name(extra[name])
        self.name_or_path = ""
        rules.check_sizes(vars(self))
        rules.check_windows(self.attention_window, self.num_hidden_layers)
        rules.check_dilations(self.attention_dilation, self.num_hidden_layers, self.num_attention_heads)
        rules.check_values(vars(self))
        self.id2label = id_to_label(id2label, label2id, plain(num_labels))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field; NumPy's scalars and arrays become Python values, which JSON can write."""
        super().__setattr__(name, id_to_label(value, None, None) if name == "id2label" else plain(value))

    # --- what follows from the fields ---------------------------------------------------------------------------

    @property
    def windows(self) -> tuple[int, ...]:
        """Two-sided attention window of each layer, in tokens; checked anew, since the field may have been set."""
        rules.check_windows(self.attention_window, self.num_hidden_layers)
        if isinstance(self.attention_window, int):
            return (self.attention_window,) * self.num_hidden_layers
        return tuple(self.attention_window)

    @property
    def dilations(self) -> tuple[tuple[int, ...], ...]:
        """Dilation of each head of each layer, in tokens, 1 where a window has no gaps; checked anew, as `windows`."""
        given, layers, heads = self.attention_dilation, self.num_hidden_layers, self.num_attention_heads
        rules.check_dilations(given, layers, heads)
        by_layer = [given] * layers if isinstance(given, int) else given
        return tuple((of,) * heads if isinstance(of, int) else tuple(of) for of in by_layer)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def max_tokens(self) -> int:
        """Longest input in tokens: positions `pad_token_id + 1 ... max_position_embeddings - 1` are usable."""
        return self.max_position_embeddings - self.pad_token_id - 1

    @property
    def label2id(self) -> dict[Label, int]:
        """The inverse of `id2label`, which wins where a file's `label2id` contradicts it; setting it sets both."""
        return {label: index for index, label in self.id2label.items()}

    @label2id.setter
    def label2id(self, ids: Mapping[Label, int | str]) -> None:
        self.id2label = id_to_label(None, ids, None)

    @property
    def num_labels(self) -> int:
        """Number of labels of a classification head; setting it gives them HF's names LABEL_0, LABEL_1, ..."""
        return len(self.id2label)

    @num_labels.setter
    def num_labels(self, number: int) -> None:
        if number != len(self.id2label):
            self.id2label = id_to_label(None, None, number)

    # --- files ----------------------------------------------------------------------------------------------------

    @overload
    @classmethod
    def from_dict(
        cls, config_dict: Mapping[str, Any], *, return_unused_kwargs: Literal[False] = False, **fields: Any
    ) -> LongformerConfig: ...

    @overload
    @classmethod
    def from_dict(
        cls, config_dict: Mapping[str, Any], *, return_unused_kwargs: Literal[True], **fields: Any
    ) -> tuple[LongformerConfig, dict[str, Any]]: ...

    @classmethod
    def from_dict(
        cls, config_dict: Mapping[str, Any], *, return_unused_kwargs: bool = False, **fields: Any
    ) -> LongformerConfig | tuple[LongformerConfig, dict[str, Any]]:
        """Build a config from the fields of a `config.json`; `null` stands for the default where a value is needed.

        Windows that count one side, as in the configs of AllenAI's own code, are doubled; these have another
        `model_type` than "longformer".

        Args:
            config_dict: the fields.
            return_unused_kwargs: return a pair, the config and those of `fields` that are none, as in HF.
            fields: to replace.

        Raises:
            ConfigError: the fields are no JSON object, break a rule, or are those of another model.
            InputError: a replaced name is not a field.
        """
        if not isinstance(config_dict, Mapping):
            raise ConfigError(f"a configuration is a JSON object of fields, got {type(config_dict).__name__}")
        values = as_longformer({str(key): value for key, value in config_dict.items()})
        del values["model_type"]
        for key in (*_TOKEN_IDS, *_DTYPES, *_PLAIN, *_OPTIONAL):
            if key in values and values[key] is None:
                values.pop(key)
        config = cls(**values)
        return config._with(fields, return_unused_kwargs)

    @classmethod
    def from_json_file(cls, path: str | Path) -> LongformerConfig:
        """Read the `config.json` at `path`.

        Raises:
            ConfigError: the file is not JSON, or its fields break a rule.
            CheckpointFileError: the file does not exist, or cannot be read.
        """
        return config_of(path, read_fields(path), cls)

    @overload
    @classmethod
    def from_pretrained(
        cls, name: str | os.PathLike[str] | None = None, *, return_unused_kwargs: Literal[False] = False, **options: Any
    ) -> LongformerConfig: ...

    @overload
    @classmethod
    def from_pretrained(
        cls, name: str | os.PathLike[str] | None = None, *, return_unused_kwargs: Literal[True], **options: Any
    ) -> tuple[LongformerConfig, dict[str, Any]]: ...

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        subfolder: str | None = "",
        force_download: bool = False,
        return_unused_kwargs: bool = False,
        **fields: Any,
    ) -> LongformerConfig | tuple[LongformerConfig, dict[str, Any]]:
        """Read the config of a folder, a repository on the Hugging Face Hub, or (by default) the bundled demo model.

        name, revision, cache_dir, token, local_files_only, subfolder, force_download: as in
        `LongformerPreTrainedModel.from_pretrained`. return_unused_kwargs: as in `from_dict`. fields: those of the
        config to replace, such as `attention_window=64`.

        Raises:
            ConfigError: a field breaks a rule.
            InputError: a replaced name is not a field.
            CheckpointError: there is no config.
        """
        source = locate(
            name,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            subfolder=subfolder,
            force_download=force_download,
        )
        config = cls.from_json_file(source.require(CONFIG_NAME))
        config.name_or_path = source.name
        return config._with(fields, return_unused_kwargs)

    def _with(
        self, fields: dict[str, Any], return_unused_kwargs: bool
    ) -> LongformerConfig | tuple[LongformerConfig, dict[str, Any]]:
        if not return_unused_kwargs:
            return self.replaced(**fields) if fields else self
        unused = {name: fields[name] for name in fields.keys() - self.field_names()}
        return self.replaced(**{name: fields[name] for name in fields.keys() - unused}), unused

    def replaced(self, **fields: Any) -> LongformerConfig:
        """This config, checked anew, with some fields replaced; a new number of labels replaces their names too.

        Raises:
            ConfigError: a field breaks a rule.
            InputError: a name is not a field.
        """
        known = self.field_names()
        for name in fields.keys() - known:
            raise unknown_name(type(self).__name__, name, known)
        values = self.to_dict() | {"model_type": LongformerConfig.model_type}
        layers = plain(fields.get("num_hidden_layers"))
        for name in ("attention_window", "attention_dilation"):
            if isinstance(layers, int) and isinstance(values.get(name), list):  # the first layers keep their windows
                values[name] = values[name][:layers]
        if "num_labels" in fields or "id2label" in fields or "label2id" in fields:
            del values["id2label"], values["label2id"]
        config = type(self).from_dict({**values, **fields})
        config.name_or_path = self.name_or_path
        return config

    def field_names(self) -> set[str]:
        """The names of the fields: those of a Longformer, those that HF has for every model, and those in `extra`."""
        own = vars(self).keys() - {"extra", "name_or_path"}
        return {*own, *self.extra, *UNUSED, "num_labels", "label2id", "torch_dtype"}

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values, the unknown ones of the source included."""
        fields: dict[str, Any] = {"model_type": self.model_type}
        for key, value in vars(self).items():
            if key in ("extra", "id2label", "name_or_path") or (value is None and key != "problem_type"):
                continue
            if key in _PLAIN and value == _PLAIN[key]:
                continue
            fields[key] = list(value) if isinstance(value, tuple) else value
        fields["id2label"] = {str(index): label for index, label in self.id2label.items()}
        fields["label2id"] = {str(label): index for label, index in self.label2id.items()}
        return {**self.extra, **fields}

    def to_json_string(self) -> str:
        """The fields as the text of a `config.json`.

        Raises:
            ConfigError: JSON cannot represent the value of a field.
        """
        try:
            return json.dumps(self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        except (TypeError, ValueError) as error:
            raise ConfigError(f"a field of the config cannot be written: {error}") from error

    def to_json_file(self, json_file_path: str | Path) -> None:
        """Write the fields to a file, which appears whole or not at all; json_file_path: its name.

        Raises:
            ConfigError: JSON cannot represent the value of a field.
        """
        write_beside(Path(json_file_path), self.to_json_string().encode())

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Write `config.json` into `save_directory`, which is created if missing.

        Raises:
            ConfigError: JSON cannot represent the value of a field.
        """
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.to_json_file(folder / CONFIG_NAME)

    def __getattr__(self, name: str) -> Any:
        extra = vars(self).get("extra", {})
        for key in _DTYPES if name in _DTYPES else (name,):
            if key in extra:
                return extra[key]
        if name in UNUSED or name in _DTYPES:
            return copy(UNUSED.get(name))
        raise unknown_attribute(self, name, HINTS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LongformerConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"LongformerConfig {self.to_json_string()}"


def config_of(path: str | Path, fields: Any, kind: type[LongformerConfig] = LongformerConfig) -> LongformerConfig:
    """The config of the fields of a file; path: the file, which a `ConfigError` names."""
    try:
        return kind.from_dict(fields)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
