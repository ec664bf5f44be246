"""The file tokenizer.json of the tokenizers library, as far as it describes a Longformer's tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .added import AddedToken
from .files import added_token, check_merges, check_vocab, expect, read_json, shown

# Settings that change which ids a text gets, with the values that a Longformer's tokenizer has.
_MODEL_SETTINGS: dict[str, tuple[Any, ...]] = {
    "type": (None, "BPE"),
    "dropout": (None, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
    "ignore_merges": (None, False),
}
_PART_TYPES = {"pre_tokenizer": "ByteLevel", "post_processor": "RobertaProcessing", "decoder": "ByteLevel"}


@dataclass(frozen=True)
class Serialized:
    """What a tokenizer.json holds.

    Args:
        vocab: token to id.
        merges: "left right", lowest rank first.
        added: the added tokens in order, each with the id that the file has for it.
        around: the tokens that begin and end a text; None where the file leaves that open.
        sides: `padding_side` and `truncation_side`, where the file names them.
    """

    vocab: dict[str, int]
    merges: list[str]
    added: list[tuple[int, AddedToken]]
    around: tuple[str, str] | None
    sides: dict[str, str]


def read_tokenizer_json(path: Path) -> Serialized:
    """Read a tokenizer.json and refuse what would make other ids than a Longformer's tokenizer.

    Parts that are absent or null are taken to be a Longformer's. (Without a pre_tokenizer or a post_processor HF
    would split no words or add no special tokens.)
    """
    content = read_json(path)
    model = expect(content.get("model"), dict, f"{path}: model")
    for name, allowed in _MODEL_SETTINGS.items():
        if model.get(name) not in allowed:
            raise CheckpointError(
                f"{path}: model.{name} is {shown(model[name])}, but a Longformer's tokenizer is byte-level BPE with "
                f"{name} {' or '.join(map(repr, allowed))}"
            )
    for name, kind in _PART_TYPES.items():
        _check_part(content.get(name), kind, f"{path}: {name}")
    if content.get("normalizer") is not None:
        raise CheckpointError(f"{path}: normalizer must be null, got {shown(content['normalizer'])}")
    vocab = check_vocab(model.get("vocab"), f"{path}: model.vocab")
    merges = check_merges(expect(model.get("merges"), list, f"{path}: model.merges"), f"{path}: model.merges")
    return Serialized(vocab, merges, _added(content, path), _around(content, vocab, path), _sides(content, path))


def _check_part(part: Any, kind: str, where: str) -> None:
    if part is None:
        return
    if expect(part, dict, where).get("type") != kind or part.get("use_regex", True) is not True:
        raise CheckpointError(
            f"{where} must be null or of type {kind!r} with its standard pattern, as a Longformer's tokenizer has it, "
            f"got {shown(part)}"
        )


def _added(content: Mapping[str, Any], path: Path) -> list[tuple[int, AddedToken]]:
    added = []
    entries = content.get("added_tokens")
    for number, entry in enumerate(expect([] if entries is None else entries, list, f"{path}: added_tokens")):
        where = f"{path}: added_tokens[{number}]"
        token = added_token(entry, where)
        added.append((expect(entry.get("id"), int, f"{where}.id"), token))
    return added


def _around(content: Mapping[str, Any], vocab: Mapping[str, int], path: Path) -> tuple[str, str] | None:
    """The tokens that a text begins and ends with; their ids must be those of the vocabulary."""
    processor = content.get("post_processor")
    if processor is None:
        return None
    ids = {**vocab, **{entry["content"]: entry["id"] for entry in content.get("added_tokens") or []}}
    tokens = []
    for name in ("cls", "sep"):
        where = f"{path}: post_processor.{name}"
        pair = expect(processor.get(name), list, where)
        if len(pair) != 2 or not isinstance(pair[0], str) or ids.get(pair[0]) != pair[1]:
            raise CheckpointError(f"{where} must be a token and its id in the vocabulary, got {shown(pair)}")
        tokens.append(pair[0])
    return tokens[0], tokens[1]


def _sides(content: Mapping[str, Any], path: Path) -> dict[str, str]:
    sides = {}
    for name in ("padding", "truncation"):
        part = content.get(name)
        if part is not None:
            direction = expect(part, dict, f"{path}: {name}").get("direction", "Right")
            if direction not in ("Right", "Left"):
                raise CheckpointError(f'{path}: {name}.direction must be "Right" or "Left", got {shown(direction)}')
            sides[f"{name}_side"] = direction.lower()
    return sides


def write_tokenizer_json(
    vocab: Mapping[str, int],
    merges: Sequence[str],
    added: Mapping[int, AddedToken],
    around: Mapping[str, tuple[str, int]],
    *,
    add_prefix_space: bool,
    trim_offsets: bool,
) -> bytes:
    """The content of a tokenizer.json that the tokenizers library reads.

    Args:
        vocab: token to id.
        merges: "left right", lowest rank first; in this form every version of the library takes them.
        added: the added tokens by id.
        around: "cls" and "sep": token and id.
        add_prefix_space: see `LongformerTokenizer`.
        trim_offsets: see `LongformerTokenizer`.
    """
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": trim_offsets,
        "use_regex": True,
    }
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": token_id, **vars(token)} for token_id, token in added.items()],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {
            "type": "RobertaProcessing",
            **{name: list(pair) for name, pair in around.items()},
            "trim_offsets": trim_offsets,
            "add_prefix_space": add_prefix_space,
        },
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": list(merges),
        },
    }
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()
