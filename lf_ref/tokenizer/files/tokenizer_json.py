"""Read and write a tokenizer.json of the tokenizers library, if it describes a Longformer's tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ..added_token import AddedToken
from ..arguments import shown
from ..bpe.byte_alphabet import BYTE_ALPHABET
from .components import Components, read_components
from .json_values import expect, read_added_token, read_json
from .vocabulary import check_merges, check_vocab

# Settings that change the ids of a text, with the values of a Longformer's tokenizer.
_MODEL_SETTINGS: dict[str, tuple[Any, ...]] = {
    "type": (None, "BPE"),
    "dropout": (None, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
    "ignore_merges": (None, False),
}


@dataclass(frozen=True)
class TokenizerJson:
    """The content of a tokenizer.json.

    Args:
        vocab: token to id.
        merges: "left right", lowest rank first.
        added: the added tokens in order, each with its id in the file.
        components: the settings of the components beside the model.
        sides: `padding_side` and `truncation_side`, where the file names them.
    """

    vocab: dict[str, int]
    merges: list[str]
    added: list[tuple[int, AddedToken]]
    components: Components
    sides: dict[str, str]


def read_tokenizer_json(path: Path) -> TokenizerJson:
    """Read a tokenizer.json, and refuse one that would give other ids than a Longformer's tokenizer.

    A component that is absent or null counts as a Longformer's. (HF would split no words without a pre_tokenizer, and
    add no special tokens without a post_processor.)
    """
    content = read_json(path)
    model = expect(content.get("model"), dict, f"{path}: model")
    for name, allowed in _MODEL_SETTINGS.items():
        if model.get(name) not in allowed:
            wanted = " or ".join(map(repr, allowed))
            raise CheckpointError(
                f"{path}: model.{name} must be {wanted}, as for the byte-level BPE of a Longformer, got "
                f"{shown(model[name])}"
            )
    vocab = check_vocab(model.get("vocab"), f"{path}: model.vocab")
    merges = check_merges(expect(model.get("merges"), list, f"{path}: model.merges"), f"{path}: model.merges")
    if model.get("fuse_unk") and not vocab.keys() >= set(BYTE_ALPHABET):
        raise CheckpointError(
            f"{path}: model.fuse_unk must be false, since a Longformer's tokenizer has one unk_token for each byte "
            f"that is not in the vocabulary, got {shown(model['fuse_unk'])}"
        )
    added = _added(content, path)
    ids = vocab | {token.content: token_id for token_id, token in added}
    return TokenizerJson(vocab, merges, added, read_components(content, ids, str(path)), _sides(content, path))


def _added(content: Mapping[str, Any], path: Path) -> list[tuple[int, AddedToken]]:
    added = []
    entries = content.get("added_tokens")
    for number, entry in enumerate(expect([] if entries is None else entries, list, f"{path}: added_tokens")):
        where = f"{path}: added_tokens[{number}]"
        token = read_added_token(entry, where)
        added.append((expect(entry.get("id"), int, f"{where}.id"), token))
    return added


def _sides(content: Mapping[str, Any], path: Path) -> dict[str, str]:
    sides = {}
    for name in ("padding", "truncation"):
        entry = content.get(name)
        if entry is not None:
            direction = expect(entry, dict, f"{path}: {name}").get("direction", "Right")
            if direction not in ("Right", "Left"):
                raise CheckpointError(f'{path}: {name}.direction must be "Right" or "Left", got {shown(direction)}')
            sides[f"{name}_side"] = direction.lower()
    return sides


def write_tokenizer_json(
    vocab: Mapping[str, int],
    merges: Sequence[str],
    added: Mapping[int, AddedToken],
    template: Mapping[str, tuple[str, int]],
    *,
    add_prefix_space: bool,
    trim_offsets: bool,
    spares_space: bool | None,
) -> bytes:
    """Return the content of a tokenizer.json for the tokenizers library.

    Args:
        vocab: token to id.
        merges: "left right", lowest rank first; every version of the library reads this form.
        added: the added tokens by id.
        template: "cls" and "sep", the tokens around texts: token and id.
        add_prefix_space, trim_offsets: see `LongformerTokenizer`.
        spares_space: see `TextEncoder`.
    """
    byte_level = {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": trim_offsets,
        "use_regex": True,
    }
    processor: dict[str, Any] = {
        "type": "RobertaProcessing",
        **{name: list(pair) for name, pair in template.items()},
        "trim_offsets": trim_offsets,
        "add_prefix_space": add_prefix_space,
    }
    if trim_offsets and spares_space is not None and spares_space != add_prefix_space:
        trimming = byte_level | {"add_prefix_space": spares_space}
        processor = {"type": "Sequence", "processors": [trimming, processor | {"trim_offsets": False}]}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": token_id, **vars(token)} for token_id, token in added.items()],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": processor,
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
