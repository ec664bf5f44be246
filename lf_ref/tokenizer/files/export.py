"""Write the files of a tokenizer, for this package and HF to read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...files import write_beside
from ..added_token import AddedToken
from .settings import ADDED_FILE, CONFIG_FILE, SPECIAL_FILE
from .tokenizer_json import write_tokenizer_json


@dataclass(frozen=True)
class TokenizerContent:
    """The content of the files of a tokenizer.

    Args:
        vocab: token to id, in any order.
        merges: "left right", lowest rank first.
        added: the added tokens by id.
        settings: the entries of tokenizer_config.json.
        special_tokens: the entries of special_tokens_map.json.
        template, add_prefix_space, trim_offsets, spares_space: as for `write_tokenizer_json`.
    """

    vocab: Mapping[str, int]
    merges: Sequence[str]
    added: Mapping[int, AddedToken]
    settings: Mapping[str, Any]
    special_tokens: Mapping[str, AddedToken | list[AddedToken]]
    template: Mapping[str, tuple[str, int]]
    add_prefix_space: bool
    trim_offsets: bool
    spares_space: bool | None


def save_tokenizer(content: TokenizerContent, folder: Path, legacy: bool | None, prefix: str | None) -> tuple[str, ...]:
    """Write the files of a tokenizer, each of them atomically, and remove those that are not written.

    Args:
        content: the content of the files.
        folder: the folder to write to.
        legacy: True for vocab.json and merges.txt, False for tokenizer.json, None for all three.
        prefix: put before the names of the files.

    Raises:
        CheckpointError: the folder cannot be made or written.
    """
    vocab = _by_id(content.vocab)
    vocabulary = _vocabulary(vocab, content.merges)
    new = {token.content: token_id for token_id, token in content.added.items() if token.content not in vocab}
    files = {
        CONFIG_FILE: _json(content.settings),
        SPECIAL_FILE: _json({name: _special(value) for name, value in content.special_tokens.items()}),
        **dict.fromkeys(vocabulary) | ({} if legacy is False else vocabulary),
        ADDED_FILE: _json(new) if new and legacy is not False else None,
        "tokenizer.json": None if legacy else _serialized(content, vocab),
    }
    return _write(files, folder, prefix)


def save_vocabulary(
    vocab: Mapping[str, int], merges: Sequence[str], folder: Path, prefix: str | None
) -> tuple[str, ...]:
    """Write vocab.json and merges.txt alone; arguments and errors as `save_tokenizer`."""
    return _write(_vocabulary(_by_id(vocab), merges), folder, prefix)


def _write(files: Mapping[str, bytes | None], folder: Path, prefix: str | None) -> tuple[str, ...]:
    """Write the files that have content, remove the others, and return the paths of those written."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / (f"{prefix}-{name}" if prefix else name)
            if content is None:
                path.unlink(missing_ok=True)
            else:
                write_beside(path, content)
                written.append(str(path))
    except OSError as error:
        raise CheckpointError(f"the tokenizer cannot be saved in {folder}: {error}") from error
    return tuple(written)


def _serialized(content: TokenizerContent, vocab: Mapping[str, int]) -> bytes:
    return write_tokenizer_json(
        vocab,
        content.merges,
        content.added,
        content.template,
        add_prefix_space=content.add_prefix_space,
        trim_offsets=content.trim_offsets,
        spares_space=content.spares_space,
    )


def _by_id(vocab: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(vocab.items(), key=lambda entry: entry[1]))


def _vocabulary(vocab: Mapping[str, int], merges: Sequence[str]) -> dict[str, bytes]:
    return {"vocab.json": _json(vocab), "merges.txt": "\n".join(["#version: 0.2", *merges, ""]).encode()}


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _special(value: AddedToken | list[AddedToken]) -> Any:
    """Return the options of tokens as in HF's special_tokens_map.json, in which all are special."""
    if isinstance(value, list):
        return [_special(token) for token in value]
    return {name: option for name, option in vars(value).items() if name != "special"}
