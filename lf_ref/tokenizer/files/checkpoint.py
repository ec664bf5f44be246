"""Read the tokenizer of a checkpoint: its vocabulary, in either of the two forms, and its settings."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, InputError
from ...files import Source
from ..added_token import ROLES, AddedToken, check_decoder
from ..bpe.pair_encoder import BytePairEncoder
from .components import Components
from .json_values import read_json
from .settings import read_settings
from .tokenizer_json import read_tokenizer_json
from .vocabulary import check_merges, check_vocab, read_merges

_OTHER_VOCABULARIES = {
    "vocab.txt": "WordPiece, as for BERT",
    "sentencepiece.bpe.model": "SentencePiece, as for XLM-RoBERTa",
    "spiece.model": "SentencePiece, as for T5",
    "tokenizer.model": "SentencePiece, as for Llama",
}
VOCABULARIES = ("tokenizer.json", "vocab.json", "merges.txt", *_OTHER_VOCABULARIES)
_WAY_OUT = (
    "where the weights come without a tokenizer, give that of another folder or repository as tokenizer= to a "
    "pipeline, or its name to LongformerTokenizer.from_pretrained"
)


@dataclass(frozen=True)
class StoredVocabulary:
    """A vocabulary, and what its file determines of the special tokens.

    Args:
        pairs: vocabulary and merges.
        where: the file, for errors.
        added: added tokens in order, with their ids in the file.
        components: the components of a tokenizer.json.
        sides: `padding_side` and `truncation_side`, where the file names them.
    """

    pairs: BytePairEncoder
    where: str
    added: list[tuple[int, AddedToken]] = field(default_factory=list)
    components: Components = field(default_factory=Components)
    sides: dict[str, str] = field(default_factory=dict)


def read_vocabulary(
    vocab_file: str | os.PathLike[str] | Mapping[str, int] | None,
    merges_file: str | os.PathLike[str] | Sequence[str | tuple[str, str]] | None,
    tokenizer_file: str | os.PathLike[str] | StoredVocabulary | None,
) -> StoredVocabulary:
    """Read a tokenizer.json if one is given, else vocabulary and merges, and check that they fit together."""
    if isinstance(tokenizer_file, StoredVocabulary):
        return tokenizer_file
    if tokenizer_file is not None:
        path = Path(tokenizer_file)
        content = read_tokenizer_json(path)
        pairs = _pairs(content.vocab, content.merges, str(path))
        return StoredVocabulary(pairs, str(path), content.added, content.components, content.sides)
    if not isinstance(vocab_file, str | os.PathLike | Mapping) or merges_file is None:
        raise InputError(
            "vocab_file and merges_file, or tokenizer_file, must be given; to load a tokenizer by name call "
            "LongformerTokenizer.from_pretrained"
        )
    if isinstance(vocab_file, Mapping):
        ids = {token: _plain(token_id) for token, token_id in vocab_file.items()}
        vocab, where = check_vocab(ids, "vocab_file"), "vocab_file"
    else:
        vocab, where = check_vocab(read_json(Path(vocab_file)), str(vocab_file)), str(vocab_file)
    if isinstance(merges_file, (str, os.PathLike)):
        merges, where = read_merges(Path(merges_file)), f"{where} and {merges_file}"
    else:
        merges = check_merges(merges_file, "merges_file")
    return StoredVocabulary(_pairs(vocab, merges, where), where)


def _plain(token_id: Any) -> Any:
    """Return a NumPy integer as a Python integer."""
    return token_id.item() if hasattr(token_id, "item") else token_id


def _pairs(vocab: Mapping[str, int], merges: Sequence[str], where: str) -> BytePairEncoder:
    try:
        return BytePairEncoder(vocab, merges)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from None


def read_checkpoint(source: Source, overrides: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the arguments that make the tokenizer of a checkpoint, and its other settings.

    If there is a tokenizer.json, vocab.json and merges.txt are not read, as in HF.

    Args:
        source: the checkpoint.
        overrides: arguments that override the files.

    Raises:
        CheckpointError: there is no byte-level BPE vocabulary, or files cannot be used.
    """
    settings = read_settings(source)
    tokenizer_file = source.find("tokenizer.json")
    vocab_file, merges_file = (None, None) if tokenizer_file else _two_files(source)
    stored = read_vocabulary(vocab_file, merges_file, tokenizer_file)
    fixed = {name for name in ("add_prefix_space", "trim_offsets") if getattr(stored.components, name) is not None}
    arguments = {name: value for name, value in settings.options.items() if name not in fixed} | dict(overrides)
    # If the files have an added token for the string of a role, the role gets that token, with its options.
    files = ([] if settings.has_decoder else stored.added) + list(settings.added.items())
    by_content = {token.content: token for _, token in files}
    for name in ROLES:
        if isinstance(arguments.get(name), str):
            arguments[name] = by_content.get(arguments[name], arguments[name])
    _fill_missing_roles(arguments, stored, {*stored.pairs.vocab, *by_content})
    if settings.added:
        given = check_decoder(arguments.get("added_tokens_decoder"))
        arguments["added_tokens_decoder"] = settings.added | given
    return arguments | {"tokenizer_file": stored}, settings.others


def _fill_missing_roles(arguments: dict[str, Any], stored: StoredVocabulary, known: Collection[str]) -> None:
    """Fill roles that no file names from the template, if the vocabulary lacks HF's tokens for them.

    (HF adds `<s>` and `</s>`, for which the model has no embeddings.)
    """
    begin, end = stored.components.template or (None, None)
    for names, token, other in ((("cls_token", "bos_token"), "<s>", begin), (("sep_token", "eos_token"), "</s>", end)):
        outer, inner = names
        if token not in known:
            if other is not None:
                arguments.setdefault(outer, other)
            if outer in arguments:
                arguments.setdefault(inner, None)
            elif inner in arguments:
                arguments[outer] = None


def _two_files(source: Source) -> tuple[Path, Path]:
    vocab_file, merges_file = source.find("vocab.json"), source.find("merges.txt")
    if vocab_file is not None and merges_file is not None:
        return vocab_file, merges_file
    if vocab_file is None:
        for name, kind in _OTHER_VOCABULARIES.items():
            if source.find(name) is not None:
                raise CheckpointError(
                    f"{source.name} has {name}, a vocabulary of another kind ({kind}); a Longformer needs byte-level "
                    f"BPE, in vocab.json and merges.txt or in tokenizer.json; {_WAY_OUT}"
                )
    error = source.missing("tokenizer.json, or vocab.json and merges.txt")
    raise type(error)(f"{error}; {_WAY_OUT}")
