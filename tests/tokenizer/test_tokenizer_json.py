"""tokenizer.json alone: all its forms, what it says beside other files, and each fault that it may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizer.editing import TEXT, edit, put

from lf_ref.errors import CheckpointError
from lf_ref.tokenizer import LongformerTokenizer


@pytest.fixture
def alone(tmp_path: Path, demo: LongformerTokenizer) -> Path:
    """The demo's tokenizer as a tokenizer.json alone."""
    demo.save_pretrained(tmp_path)
    for path in tmp_path.iterdir():
        if path.name != "tokenizer.json":
            path.unlink()
    return tmp_path


def ids(folder: Path, **options: Any) -> list[int]:
    return LongformerTokenizer.from_pretrained(folder, **options).encode(TEXT)


def absent_type(content: dict[str, Any]) -> None:
    del content["model"]["type"]


def null_type(content: dict[str, Any]) -> None:
    content["model"]["type"] = None


def merges_as_pairs(content: dict[str, Any]) -> None:
    content["model"]["merges"] = [merge.split(" ") for merge in content["model"]["merges"]]


def bare(content: dict[str, Any]) -> dict[str, Any]:
    return {"model": {key: content["model"][key] for key in ("vocab", "merges")}}


def without_specials(content: dict[str, Any]) -> None:
    content["added_tokens"] = None


@pytest.mark.parametrize("change", [absent_type, null_type, merges_as_pairs, bare, without_specials])
def test_tokenizer_json_alone_in_all_its_forms(alone, demo, change):
    assert ids(alone) == demo.encode(TEXT)
    edit(alone / "tokenizer.json", change)
    assert ids(alone) == demo.encode(TEXT)
    assert LongformerTokenizer(tokenizer_file=alone / "tokenizer.json").encode(TEXT) == demo.encode(TEXT)


def test_tokenizer_json_wins_over_the_two_files(alone, demo):
    (alone / "vocab.json").write_text("not read")
    (alone / "merges.txt").write_text("nor this")
    assert ids(alone) == demo.encode(TEXT)


def test_tokenizer_json_names_sides_and_the_tokens_around(alone, demo):
    def change(content: dict[str, Any]) -> None:
        content["padding"] = {"direction": "Left", "strategy": "BatchLongest"}
        content["truncation"] = {"direction": "Left", "max_length": 3}
        content["post_processor"]["cls"] = ["</s>", 2]

    edit(alone / "tokenizer.json", change)
    tokenizer = LongformerTokenizer.from_pretrained(alone)
    assert (tokenizer.padding_side, tokenizer.truncation_side) == ("left", "left")
    assert tokenizer.encode("a") == [2, *demo.encode("a")[1:]]


def test_roles_by_string_take_the_flags_of_the_file(alone):
    def keep_space(content: dict[str, Any]) -> None:
        content["added_tokens"][-1]["lstrip"] = False

    edit(alone / "tokenizer.json", keep_space)
    assert LongformerTokenizer.from_pretrained(alone).tokenize("a <mask>") == ["a", " <mask>"]
    edit(alone / "special_tokens_map.json", {"mask_token": "<mask>"})
    assert LongformerTokenizer.from_pretrained(alone).tokenize("a <mask>") == ["a", "Ġ", "<mask>"]
    # A decoder says all that is to be known of added tokens, also that it knows nothing of this one.
    decoder = {"added_tokens_decoder": {"0": {"content": "<s>", "special": True}}, "mask_token": "<mask>"}
    edit(alone / "tokenizer_config.json", decoder)
    assert LongformerTokenizer.from_pretrained(alone).tokenize("a <mask>") == ["a", " <mask>"]


SERIALIZED_FAULTS: list[tuple[Any, str]] = [
    (put("model", value=None), "model must be an object"),
    (put("model", "type", value="WordPiece"), "model.type is 'WordPiece'"),
    (put("model", "type", value=["BPE"]), "model.type is"),
    (put("model", "vocab", value=[]), "model.vocab must be an object"),
    (put("model", "vocab", value={"a": 1, "b": 1}), "both have the id 1"),
    (put("model", "merges", value={}), "model.merges must be a list"),
    (put("model", "merges", value=["t h", 3]), r"model.merges\[1\] must be"),
    (put("model", "merges", value=[["t", "h", "e"]]), r"model.merges\[0\] must be"),
    (put("model", "merges", value=[["t", "h"], ["t", 1]]), r"model.merges\[1\] must be"),
    (put("model", "merges", value=[["t h", "e"]]), "is not two tokens"),
    (put("model", "merges", value=["q q"]), "needs the token 'qq'"),
    (put("model", "dropout", value=0.1), "model.dropout is 0.1"),
    (put("model", "byte_fallback", value=True), "model.byte_fallback is True"),
    (put("model", "ignore_merges", value=True), "model.ignore_merges is True"),
    (put("model", "end_of_word_suffix", value="</w>"), "model.end_of_word_suffix is '</w>'"),
    (put("normalizer", value={"type": "NFC"}), "normalizer must be null"),
    (put("pre_tokenizer", value={"type": "Whitespace"}), "pre_tokenizer must be null or of type 'ByteLevel'"),
    (put("pre_tokenizer", "use_regex", value=False), "pre_tokenizer must be null or of type 'ByteLevel'"),
    (put("pre_tokenizer", value="ByteLevel"), "pre_tokenizer must be an object"),
    (put("post_processor", value={"type": "ByteLevel"}), "post_processor must be null or of type"),
    (put("post_processor", "cls", value=["<s>", 5]), "post_processor.cls must be a token and its id"),
    (put("post_processor", "sep", value="</s>"), "post_processor.sep must be a list"),
    (put("decoder", value={"type": "WordPiece"}), "decoder must be null"),
    (put("added_tokens", value={}), "added_tokens must be a list"),
    (put("added_tokens", 0, value="<s>"), r"added_tokens\[0\] must be an object"),
    (put("added_tokens", 0, "id", value="0"), r"added_tokens\[0\].id must be an integer"),
    (put("added_tokens", 1, "id", value=7), "has the id 7 there, but 1"),
    (put("added_tokens", 0, "content", value=None), "must be a non-empty string"),
    (put("padding", value={"direction": "Up"}), "padding.direction must be"),
]


@pytest.mark.parametrize(("change", "message"), SERIALIZED_FAULTS)
def test_a_tokenizer_json_with_a_fault(alone, change, message):
    edit(alone / "tokenizer.json", change)
    with pytest.raises(CheckpointError, match=message) as caught:
        LongformerTokenizer.from_pretrained(alone)
    assert "tokenizer.json" in str(caught.value)
