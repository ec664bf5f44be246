"""Find the vocabulary of a tokenizer, in either of its two forms, and the settings beside it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, InputError
from ..files import Source
from .added import AddedToken, AddedTokens, check_decoder
from .bpe import BytePairEncoder
from .files import check_merges, check_vocab, read_json, read_merges
from .parts import Parts
from .roles import ROLES
from .sequence import TextEncoder
from .settings import read_settings
from .tokenizer_json import read_tokenizer_json

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
        parts: what a tokenizer.json says beside its model.
        sides: `padding_side` and `truncation_side`, where the file says so.
    """

    pairs: BytePairEncoder
    where: str
    added: list[tuple[int, AddedToken]] = field(default_factory=list)
    parts: Parts = field(default_factory=Parts)
    sides: dict[str, str] = field(default_factory=dict)

    def encoder(self, prefix: bool | None, trim: bool | None, split_special_tokens: bool) -> TextEncoder:
        """What turns texts into ids; prefix, trim: arguments that count more than the file, None if not given."""
        parts = self.parts
        spares = parts.spares_space if prefix is None or parts.trim_offsets is not None else None
        prefix = parts.add_prefix_space if prefix is None else prefix
        trim = parts.trim_offsets if trim is None else trim
        return TextEncoder(self.pairs, AddedTokens(), bool(prefix), trim is not False, split_special_tokens, spares)


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
        return Stored(pairs, str(path), content.added, content.parts, content.sides)
    if not isinstance(vocab_file, str | os.PathLike | Mapping) or merges_file is None:
        raise InputError(
            "a tokenizer is made from vocab_file and merges_file, or from tokenizer_file; to load one by name use "
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
    return Stored(_pairs(vocab, merges, where), where)


def _plain(token_id: Any) -> Any:
    """An integer of NumPy's as one of Python's."""
    return token_id.item() if hasattr(token_id, "item") else token_id


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
    tokenizer_file = source.find("tokenizer.json")
    vocab_file, merges_file = (None, None) if tokenizer_file else _two_files(source)
    stored = read_vocabulary(vocab_file, merges_file, tokenizer_file)
    fixed = {name for name in ("add_prefix_space", "trim_offsets") if getattr(stored.parts, name) is not None}
    arguments = {name: value for name, value in settings.options.items() if name not in fixed} | dict(overrides)
    # A role that is named by a string is filled by the added token of that string, with its options, if files have one.
    files = ([] if settings.has_decoder else stored.added) + list(settings.added.items())
    by_content = {token.content: token for _, token in files}
    for name in ROLES:
        if isinstance(arguments.get(name), str):
            arguments[name] = by_content.get(arguments[name], arguments[name])
    _stand_in(arguments, stored, {*stored.pairs.vocab, *by_content})
    if settings.added:
        given = check_decoder(arguments.get("added_tokens_decoder"))
        arguments["added_tokens_decoder"] = settings.added | given
    return arguments | {"tokenizer_file": stored}, settings.others


def _stand_in(arguments: dict[str, Any], stored: Stored, known: Collection[str]) -> None:
    """Fill roles that no file names with what is there, where the vocabulary does not have HF's tokens for them.

    (HF adds `<s>` and `</s>`, for which the model has no embeddings.)
    """
    begin, end = stored.parts.around or (None, None)
    for names, token, other in ((("cls_token", "bos_token"), "<s>", begin), (("sep_token", "eos_token"), "</s>", end)):
        outer, inner = names
        if token not in known:
            if other is not None:
                arguments.setdefault(outer, other)
            if outer in arguments:
                arguments.setdefault(inner, None)


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
    error = source.missing("tokenizer.json, or vocab.json and merges.txt")
    raise type(error)(
        f"{error}; where the weights come without a tokenizer, give that of another folder or repository "
        "as tokenizer= to a pipeline, or its name to LongformerTokenizer.from_pretrained"
    )
