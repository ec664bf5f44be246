"""Read the settings beside a vocabulary: tokenizer_config.json, special_tokens_map.json and added_tokens.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import CheckpointError
from ...files import Source
from ..added_token import ROLES, AddedToken
from ..arguments import shown
from .json_values import expect, read_added_token, read_json

CONFIG_FILE = "tokenizer_config.json"
SPECIAL_FILE = "special_tokens_map.json"
ADDED_FILE = "added_tokens.json"


@dataclass
class Settings:
    """The settings of a tokenizer.

    Args:
        options: arguments of `LongformerTokenizer`, of the right type.
        added: the added tokens that the files name, by id.
        has_decoder: whether they come from an `added_tokens_decoder`, which lists all of them.
        others: entries of tokenizer_config.json that this package does not use; saving writes them again.
    """

    options: dict[str, Any] = field(default_factory=dict)
    added: dict[int, AddedToken] = field(default_factory=dict)
    has_decoder: bool = False
    others: dict[str, Any] = field(default_factory=dict)


def _strings(value: Any, where: str) -> list[str]:
    return [expect(entry, str, f"{where}[{number}]") for number, entry in enumerate(expect(value, list, where))]


def _length(value: Any, where: str) -> int:
    """Return a length. Floats without a fraction are allowed, since other tools write "no limit" as 1e30."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if expect(value, int, where) < 1:
        raise CheckpointError(f"{where} must be at least 1, got {value}")
    length: int = value
    return length


def _token(value: Any, where: str) -> str | AddedToken | None:
    if value is None or (isinstance(value, str) and value):
        return value
    return read_added_token(value, where, special=True)


def _tokens(value: Any, where: str) -> list[str | AddedToken]:
    tokens = [_token(entry, f"{where}[{number}]") for number, entry in enumerate(expect(value, list, where))]
    return [token for token in tokens if token is not None]


def _extra_tokens(value: Any, where: str) -> dict[str, str | AddedToken]:
    tokens = {name: _token(entry, f"{where}.{shown(name)}") for name, entry in expect(value, dict, where).items()}
    return {name: token for name, token in tokens.items() if token is not None}


def _of_type(kind: type[Any]) -> Callable[[Any, str], Any]:
    return lambda value, where: expect(value, kind, where)


_READERS: dict[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(ROLES, _token),
    "additional_special_tokens": _tokens,
    "extra_special_tokens": _extra_tokens,
    "add_prefix_space": _of_type(bool),
    "trim_offsets": _of_type(bool),
    "clean_up_tokenization_spaces": _of_type(bool),
    "split_special_tokens": _of_type(bool),
    "errors": _of_type(str),
    "padding_side": _of_type(str),
    "truncation_side": _of_type(str),
    "model_max_length": _length,
    "model_input_names": _strings,
}
_SPECIAL = (*ROLES, "additional_special_tokens")
# Keys that name files or repeat other keys; saving writes its own.
_DROPPED = ("added_tokens_decoder", "tokenizer_class", "name_or_path", "tokenizer_file", "special_tokens_map_file")


def read_settings(source: Source) -> Settings:
    """Read the files that exist, and combine them as HF 4 does.

    tokenizer_config.json comes first. If it has an `added_tokens_decoder`, the older files are ignored. Otherwise
    special_tokens_map.json overrides the roles and adds to the additional special tokens, and added_tokens.json adds
    its tokens.

    Raises:
        CheckpointError: an entry of a wrong type, with its file and key.
    """
    settings = Settings()
    config_path = source.find(CONFIG_FILE)
    config = {} if config_path is None else read_json(config_path)
    _read_options(config, str(config_path), settings)
    for name in settings.options.get("extra_special_tokens", ()):
        settings.others.pop(name, None)  # HF writes each of them as an entry of its own, too
    if config.get("added_tokens_decoder") is not None:
        settings.has_decoder = True
        settings.added = _decoder(config["added_tokens_decoder"], f"{config_path}: added_tokens_decoder")
        return settings
    special_path = source.find(SPECIAL_FILE)
    if special_path is not None:
        before = settings.options.get("additional_special_tokens", [])
        special = {name: value for name, value in read_json(special_path).items() if name in _SPECIAL}
        _read_options(special, str(special_path), settings)
        additional = settings.options.get("additional_special_tokens", [])
        if additional is not before:
            settings.options["additional_special_tokens"] = list(dict.fromkeys(before + additional))
    added_path = source.find(ADDED_FILE)
    if added_path is not None:
        settings.added = _added_file(read_json(added_path), str(added_path), settings.options)
    return settings


def _read_options(values: Mapping[str, Any], path: str, settings: Settings) -> None:
    # "max_len" is the old name; if a file has both, the new one counts.
    for key, value in sorted(values.items(), key=lambda entry: entry[0] != "max_len"):
        name = "model_max_length" if key == "max_len" else key
        if key == "extra_special_tokens" and isinstance(value, list):  # as transformers 5 writes them
            name = "additional_special_tokens"
            if not value:
                continue
        if name in ROLES or (name in _READERS and value is not None):
            settings.options[name] = _READERS[name](value, f"{path}: {key}")
        elif name not in _READERS and name not in _DROPPED:
            settings.others[name] = value


def _decoder(value: Any, where: str) -> dict[int, AddedToken]:
    added = {}
    for key, entry in expect(value, dict, where).items():
        if not (key.isascii() and key.isdigit() and len(key) < 12):
            raise CheckpointError(f"{where} must have ids as keys, got {shown(key)}")
        added[int(key)] = read_added_token(entry, f"{where}.{key}")
    return dict(sorted(added.items()))


def _added_file(content: Mapping[str, Any], path: str, options: Mapping[str, Any]) -> dict[int, AddedToken]:
    """Read the tokens and ids of added_tokens.json. Tokens with a role and additional ones are special."""
    special = {str(options[name]) for name in ROLES if options.get(name) is not None}
    special |= {str(token) for token in options.get("additional_special_tokens", ())}
    special |= {str(token) for token in options.get("extra_special_tokens", {}).values()}
    added: dict[int, AddedToken] = {}
    for token, token_id in content.items():
        expect(token_id, int, f"{path}: {shown(token)}")
        if token_id in added:
            raise CheckpointError(
                f"{path}: {shown(added[token_id].content)} and {shown(token)} both have the id {token_id}"
            )
        added[token_id] = read_added_token({"content": token, "special": token in special}, f"{path}: {shown(token)}")
    return dict(sorted(added.items()))
