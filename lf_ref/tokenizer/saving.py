"""Write a tokenizer so that this package and HF's read it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from ..files import write_beside
from .added import AddedToken
from .settings import ADDED_FILE, CONFIG_FILE, SPECIAL_FILE
from .tokenizer_json import write_tokenizer_json

if TYPE_CHECKING:
    from .tokenizer import LongformerTokenizer


def save_tokenizer(tokenizer: LongformerTokenizer, folder: Path) -> tuple[str, ...]:
    """Write vocab.json, merges.txt, tokenizer.json and the settings; each file appears whole or not at all.

    An added_tokens.json that is there is taken away where there is nothing to write into it.

    Raises:
        CheckpointError: the folder cannot be made or written.
    """
    files = _files(tokenizer)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if ADDED_FILE not in files:
            (folder / ADDED_FILE).unlink(missing_ok=True)
        for name, content in files.items():
            write_beside(folder / name, content)
    except OSError as error:
        raise CheckpointError(f"the tokenizer cannot be saved in {folder}: {error}") from error
    return tuple(str(folder / name) for name in files)


def _files(tokenizer: LongformerTokenizer) -> dict[str, bytes]:
    encoder = tokenizer._encoder
    pairs, added = encoder.pairs, encoder.added
    vocab = dict(sorted(pairs.vocab.items(), key=lambda entry: entry[1]))
    new = {content: token_id for content, token_id in added.id_of.items() if content not in vocab}
    around = {"cls": tokenizer._around.begin, "sep": tokenizer._around.end}
    files = {
        CONFIG_FILE: _json(_config(tokenizer)),
        SPECIAL_FILE: _json(_special_tokens(tokenizer)),
        "vocab.json": _json(vocab),
        "merges.txt": "\n".join(["#version: 0.2", *pairs.merges, ""]).encode(),
        "tokenizer.json": write_tokenizer_json(
            vocab,
            pairs.merges,
            added.by_id,
            {name: (extra.token, extra.token_id) for name, extra in around.items()},
            add_prefix_space=encoder.add_prefix_space,
            trim_offsets=encoder.trim_offsets,
        ),
    }
    return files | ({ADDED_FILE: _json(new)} if new else {})


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _config(tokenizer: LongformerTokenizer) -> dict[str, Any]:
    encoder = tokenizer._encoder
    roles = {name: None if token is None else token.content for name, token in tokenizer.roles.items()}
    return {
        **tokenizer._others,
        **roles,
        "additional_special_tokens": tokenizer.additional_special_tokens,
        "add_prefix_space": encoder.add_prefix_space,
        "trim_offsets": encoder.trim_offsets,
        "split_special_tokens": encoder.split_special_tokens,
        "errors": tokenizer.errors,
        "model_max_length": tokenizer.model_max_length,
        "padding_side": tokenizer.padding_side,
        "truncation_side": tokenizer.truncation_side,
        "clean_up_tokenization_spaces": tokenizer.clean_up_tokenization_spaces,
        "model_input_names": tokenizer.model_input_names,
        "added_tokens_decoder": {str(token_id): vars(token) for token_id, token in encoder.added.by_id.items()},
        "tokenizer_class": "LongformerTokenizer",
    }


def _special_tokens(tokenizer: LongformerTokenizer) -> dict[str, Any]:
    roles = {name: _without_special(token) for name, token in tokenizer.roles.items() if token is not None}
    additional = [_without_special(token) for token in tokenizer._additional]
    return roles | ({"additional_special_tokens": additional} if additional else {})


def _without_special(token: AddedToken) -> dict[str, Any]:
    """The options of a token as HF has them in special_tokens_map.json, where all are special."""
    return {name: value for name, value in vars(token).items() if name != "special"}
