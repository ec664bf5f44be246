"""Find the vocabulary of a tokenizer, in either of its two forms, and the settings beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, InputError
from ..files import Source
from .added import AddedToken
from .bpe import BytePairEncoder
from .files import check_merges, check_vocab, read_json, read_merges
from .settings import read_settings
from .tokenizer_json import read_tokenizer_json
from .vocabulary import ROLES

_OTHER_VOCABULARIES = {
    "vocab.txt": "WordPiece, as for BERT",
    "sentencepiece.bpe.model": "SentencePiece, as for XLM-RoBERTa",
    "spiece.model": "SentencePiece, as for T5",
    "tokenizer.model": "SentencePiece, as for Llama",
}


@dataclass(frozen=True)
class Stored:
    """A vocabulary and what its file says of special tokens.

    Args:
        pairs: vocabulary and merges.
        where: the file, for errors.
        added: added tokens in order, with the ids that the file has for them.
        around: the tokens that begin and end a text, where the file says so.
        sides: `padding_side` and `truncation_side`, where the file says so.
    """

    pairs: BytePairEncoder
    where: str
    added: list[tuple[int, AddedToken]] = field(default_factory=list)
    around: tuple[str, str] | None = None
    sides: dict[str, str] = field(default_factory=dict)


def read_vocabulary(
    vocab_file: str | os.PathLike[str] | Mapping[str, int] | None,
    merges_file: str | os.PathLike[str] | Sequence[str | tuple[str, str]] | None,
    tokenizer_file: str | os.PathLike[str] | Stored | None,
) -> Stored:
    """Read a tokenizer.json where one is given, else vocabulary and merges, and check that these fit together."""
    if isinstance(tokenizer_file, Stored):
        return tokenizer_file
    if tokenizer_file is not None:
        path = Path(tokenizer_file)
        content = read_tokenizer_json(path)
        pairs = _pairs(content.vocab, content.merges, str(path))
        return Stored(pairs, str(path), content.added, content.around, content.sides)
    if vocab_file is None or merges_file is None:
        raise InputError(
            "a tokenizer is made from vocab_file and merges_file, or from tokenizer_file; to load one by name use "
            "LongformerTokenizer.from_pretrained"
        )
    if isinstance(vocab_file, Mapping):
        vocab, where = check_vocab(dict(vocab_file), "vocab_file"), "vocab_file"
    else:
        vocab, where = check_vocab(read_json(Path(vocab_file)), str(vocab_file)), str(vocab_file)
    if isinstance(merges_file, (str, os.PathLike)):
        merges, where = read_merges(Path(merges_file)), f"{where} and {merges_file}"
    else:
        merges = check_merges(merges_file, "merges_file")
    return Stored(_pairs(vocab, merges, where), where)


def _pairs(vocab: Mapping[str, int], merges: Sequence[str], where: str) -> BytePairEncoder:
    try:
        return BytePairEncoder(vocab, merges)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from None


def read_checkpoint(source: Source, overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments that make the tokenizer of a checkpoint, and what its settings hold beside them.

    A tokenizer.json is used where there is one, and vocab.json and merges.txt are then not read: HF does the same.

    Args:
        source: the checkpoint.
        overrides: arguments that count more than the files.

    Raises:
        CheckpointError: no vocabulary of this kind, or files that cannot be used.
    """
    settings = read_settings(source)
    arguments = settings.options | dict(overrides)
    tokenizer_file = source.find("tokenizer.json")
    vocab_file, merges_file = (None, None) if tokenizer_file else _two_files(source)
    stored = read_vocabulary(vocab_file, merges_file, tokenizer_file)
    # A role that is named by a string is filled by the added token of that string, with its options, if files have one.
    files = ([] if settings.has_decoder else stored.added) + list(settings.added.items())
    by_content = {token.content: token for _, token in files}
    for name in ROLES:
        if isinstance(arguments.get(name), str):
            arguments[name] = by_content.get(arguments[name], arguments[name])
    if settings.added:
        arguments["added_tokens_decoder"] = settings.added | arguments.get("added_tokens_decoder", {})
    return arguments | {"tokenizer_file": stored}, settings.others


def _two_files(source: Source) -> tuple[Path, Path]:
    vocab_file, merges_file = source.find("vocab.json"), source.find("merges.txt")
    if vocab_file is not None and merges_file is not None:
        return vocab_file, merges_file
    if vocab_file is None:
        for name, kind in _OTHER_VOCABULARIES.items():
            if source.find(name) is not None:
                raise CheckpointError(
                    f"{source.name} has {name}, a vocabulary of another kind ({kind}): a Longformer's is byte-level "
                    "BPE, in vocab.json and merges.txt or in tokenizer.json"
                )
    raise source.missing("tokenizer.json, or vocab.json and merges.txt")
