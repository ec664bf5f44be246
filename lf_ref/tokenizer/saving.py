"""Write a tokenizer so that this package and HF's read it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from ..files import write_beside
from .added import AddedToken
from .settings import ADDED_FILE, CONFIG_FILE, SPECIAL_FILE
from .tokenizer_json import write_tokenizer_json

if TYPE_CHECKING:
    from .tokenizer import LongformerTokenizer


def save_tokenizer(
    tokenizer: LongformerTokenizer, folder: Path, legacy: bool | None, prefix: str | None
) -> tuple[str, ...]:
    """Write the files of a tokenizer, each of which appears whole or not at all; those not written are taken away.

    Args:
        tokenizer: the tokenizer.
        folder: where to.
        legacy: whether to write vocab.json and merges.txt instead of tokenizer.json; None: all.
        prefix: goes before the names of the files.

    Raises:
        CheckpointError: the folder cannot be made or written.
    """
    vocabulary = _vocabulary(tokenizer)
    vocab = tokenizer._encoder.pairs.vocab
    new = {content: token_id for content, token_id in tokenizer._encoder.added.id_of.items() if content not in vocab}
    files = {
        CONFIG_FILE: _json(settings_of(tokenizer)),
        SPECIAL_FILE: _json(_special_tokens(tokenizer)),
        **dict.fromkeys(vocabulary) | ({} if legacy is False else vocabulary),
        ADDED_FILE: _json(new) if new and legacy is not False else None,
        "tokenizer.json": None if legacy else _serialized(tokenizer),
    }
    return _write(files, folder, prefix)


def save_vocabulary(tokenizer: LongformerTokenizer, folder: Path, prefix: str | None) -> tuple[str, ...]:
    """Write vocab.json and merges.txt alone; arguments and errors as `save_tokenizer`."""
    return _write(_vocabulary(tokenizer), folder, prefix)


def _write(files: Mapping[str, bytes | None], folder: Path, prefix: str | None) -> tuple[str, ...]:
    """Write the files that have a content, and take the others away; the paths of those written."""
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


def _vocabulary(tokenizer: LongformerTokenizer) -> dict[str, bytes]:
    pairs = tokenizer._encoder.pairs
    vocab = dict(sorted(pairs.vocab.items(), key=lambda entry: entry[1]))
    merges = "\n".join(["#version: 0.2", *pairs.merges, ""]).encode()
    return {"vocab.json": _json(vocab), "merges.txt": merges}


def _serialized(tokenizer: LongformerTokenizer) -> bytes:
    encoder = tokenizer._encoder
    around = {"cls": tokenizer._around.begin, "sep": tokenizer._around.end}
    return write_tokenizer_json(
        dict(sorted(encoder.pairs.vocab.items(), key=lambda entry: entry[1])),
        encoder.pairs.merges,
        encoder.added.by_id,
        {name: (extra.token, extra.token_id) for name, extra in around.items()},
        add_prefix_space=encoder.add_prefix_space,
        trim_offsets=encoder.trim_offsets,
        spares_space=encoder.spares_space,
    )


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def settings_of(tokenizer: LongformerTokenizer) -> dict[str, Any]:
    """What tokenizer_config.json says of a tokenizer."""
    encoder = tokenizer._encoder
    roles = {name: None if token is None else token.content for name, token in tokenizer.roles.items()}
    return {
        **tokenizer._others,
        **roles,
        "additional_special_tokens": tokenizer.additional_special_tokens,
        "extra_special_tokens": tokenizer.extra_special_tokens,
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
    return {
        name: _without_special(value) if isinstance(value, AddedToken) else [_without_special(token) for token in value]
        for name, value in tokenizer.special_tokens_map_extended.items()
    }


def _without_special(token: AddedToken) -> dict[str, Any]:
    """The options of a token as HF has them in special_tokens_map.json, where all are special."""
    return {name: value for name, value in vars(token).items() if name != "special"}
