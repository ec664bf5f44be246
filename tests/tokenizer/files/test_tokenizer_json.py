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


def around(*names: str) -> list[dict[str, Any]]:
    """Pieces of a template; names with one letter are texts, a digit after ":" is their token type."""
    pieces = []
    for name in names:
        name, _, type_id = name.partition(":")
        pieces.append({"Sequence" if len(name) == 1 else "SpecialToken": {"id": name, "type_id": int(type_id or 0)}})
    return pieces


def template(**changes: Any) -> dict[str, Any]:
    tokens = {"<s>": 0, "<pad>": 1, "</s>": 2}
    return {
        "type": "TemplateProcessing",
        "single": around("<s>", "A", "</s>"),
        "pair": around("<s>", "A", "</s>", "</s>", "B", "</s>"),
        "special_tokens": {name: {"id": name, "ids": [number], "tokens": [name]} for name, number in tokens.items()},
    } | changes


def byte_level(**changes: Any) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True} | changes


def sequence(key: str, *parts: Any) -> dict[str, Any]:
    return {"type": "Sequence", key: list(parts)}


def roberta(content: dict[str, Any]) -> None:
    content["post_processor"] = sequence("processors", byte_level(), content["post_processor"])


@pytest.mark.parametrize(
    "change",
    [
        put("post_processor", value=sequence("processors", byte_level(), template())),
        put("post_processor", value=sequence("processors", template(), byte_level())),
        put("pre_tokenizer", value=sequence("pretokenizers", byte_level())),
        put("decoder", value=sequence("decoders", byte_level())),
        put("normalizer", value=sequence("normalizers")),
    ],
)
def test_parts_that_mean_the_same(alone, demo, change):
    edit(alone / "tokenizer.json", change)
    for loaded in (
        LongformerTokenizer.from_pretrained(alone),
        LongformerTokenizer(tokenizer_file=alone / "tokenizer.json"),
    ):
        options = {"return_offsets_mapping": True, "truncation": True, "max_length": 13, "return_token_type_ids": True}
        assert loaded(TEXT, "b c", **options) == demo(TEXT, "b c", **options)
        assert loaded.decode(demo.encode(TEXT)) == demo.decode(demo.encode(TEXT))


def test_two_parts_that_trim_trim_once(alone, demo):
    edit(alone / "tokenizer.json", roberta)
    loaded = LongformerTokenizer.from_pretrained(alone)
    assert loaded(TEXT, return_offsets_mapping=True) == demo(TEXT, return_offsets_mapping=True)


@pytest.mark.parametrize("processor", [template(), sequence("processors", byte_level(trim_offsets=False), template())])
def test_a_template_alone_trims_no_offsets(alone, processor):
    edit(alone / "tokenizer.json", put("post_processor", value=processor))
    untrimmed = LongformerTokenizer.from_pretrained(trim_offsets=False)
    options = {"return_offsets_mapping": True}
    assert LongformerTokenizer.from_pretrained(alone)(TEXT, **options) == untrimmed(TEXT, **options)
    trimmed = LongformerTokenizer.from_pretrained(alone, trim_offsets=True)
    assert trimmed(TEXT, **options) == LongformerTokenizer.from_pretrained()(TEXT, **options)


def test_a_template_names_the_tokens_around(alone, demo):
    change = template(single=around("<pad>", "A", "<s>"), pair=around("<pad>", "A", "<s>", "<s>", "B", "<s>"))
    edit(alone / "tokenizer.json", put("post_processor", value=change))
    ids = demo.encode("a", add_special_tokens=False) + demo.encode("b", add_special_tokens=False)
    assert LongformerTokenizer.from_pretrained(alone).encode("a", "b") == [1, ids[0], 0, 0, ids[1], 0]


TEMPLATE_FAULTS: list[tuple[Any, str]] = [
    (template(single=around("<s>", "A")), "template, single '<cls> .A <sep>'.* got single '<s> .A'"),
    (template(single=around("A", "<s>", "</s>")), "template, single"),
    (template(single=around("<s>", "B", "</s>")), "template, single"),
    (template(single=[]), "template, single"),
    (template(pair=around("<s>", "A", "</s>", "B", "</s>")), "pair '<s> .A </s> .B </s>'"),
    (template(pair=around("<s>", "A", "</s>", "<s>", "B", "</s>")), "template, single"),
    (template(pair=around("<s>", "B", "</s>", "</s>", "A", "</s>")), "template, single"),
    (template(pair=around("<s>", "A", "</s>", "</s>", "B:1", "</s>:1")), r"pair\[4\] must have the token type 0"),
    (template(single=around("<t>", "A", "</s>")), r"single\[0\] names '<t>', which is not in special_tokens"),
    (template(single=around("<s>", "A", "</s>")[:1] * 3), "template, single"),
    (template(single="<s> $A </s>"), "single must be a list"),
    (template(single=[{"Sequence": "A"}]), r"single\[0\] must be a SpecialToken or a Sequence"),
    (template(single=[{}]), r"single\[0\] must be a SpecialToken or a Sequence"),
    (template(single=[{"Sequence": {}}]), r"single\[0\].id must be a string"),
    (template(special_tokens=None), "special_tokens must be an object"),
    (template(special_tokens={"<s>": {"tokens": ["<s>", "a"], "ids": [0, 5]}}), "must have one token and one id"),
    (template(special_tokens={"<s>": {"tokens": ["<s>"], "ids": [5]}}), "must be a token and its id"),
    (sequence("processors", byte_level()), "must be null or of type 'RobertaProcessing' or 'TemplateProcessing'"),
    (sequence("processors"), "must be null or of type"),
    (sequence("processors", template(), template()), "must be null or of type"),
    (sequence("processors", byte_level(), byte_level(), template()), "must be null or of type"),
    (sequence("processors", {"type": "BertProcessing"}, template()), "must be null or of type"),
    (sequence("processors", sequence("processors", template())), "must be null or of type"),
    (sequence("processors", "ByteLevel"), r"processors\[0\] must be an object"),
    (sequence("processors", byte_level(trim_offsets=1), template()), "trim_offsets must be true or false"),
    (sequence("parts", template()), "processors must be a list"),
]


@pytest.mark.parametrize(("processor", "message"), TEMPLATE_FAULTS)
def test_a_post_processor_that_means_something_else(alone, processor, message):
    edit(alone / "tokenizer.json", put("post_processor", value=processor))
    with pytest.raises(CheckpointError, match=f"tokenizer.json: post_processor.*{message}") as caught:
        LongformerTokenizer.from_pretrained(alone)
    assert len(str(caught.value)) < 500


def test_unknown_bytes_in_one_are_refused_where_there_are_any(alone, demo):
    edit(alone / "tokenizer.json", put("model", "fuse_unk", value=True))
    assert ids(alone) == demo.encode(TEXT)
    small = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5}
    LongformerTokenizer(small, []).save_pretrained(alone)
    assert ids(alone)[-2:] == [3, 2]
    edit(alone / "tokenizer.json", put("model", "fuse_unk", value=True))
    with pytest.raises(CheckpointError, match=r"model.fuse_unk must be false.* each byte"):
        ids(alone)


SERIALIZED_FAULTS: list[tuple[Any, str]] = [
    (put("model", value=None), "model must be an object"),
    (put("model", "type", value="WordPiece"), "model.type must be None or 'BPE', .* got 'WordPiece'"),
    (put("model", "type", value=["BPE"]), "model.type must be"),
    (put("model", "vocab", value=[]), "model.vocab must be an object"),
    (put("model", "vocab", value={"a": 1, "b": 1}), "both have the id 1"),
    (put("model", "merges", value={}), "model.merges must be a list"),
    (put("model", "merges", value=["t h", 3]), r"model.merges\[1\] must be"),
    (put("model", "merges", value=[["t", "h", "e"]]), r"model.merges\[0\] must be"),
    (put("model", "merges", value=[["t", "h"], ["t", 1]]), r"model.merges\[1\] must be"),
    (put("model", "merges", value=[["t h", "e"]]), "must be two tokens"),
    (put("model", "merges", value=["q q"]), "needs the token 'qq'"),
    (put("model", "dropout", value=0.1), "model.dropout must be None or 0.0, .* got 0.1"),
    (put("model", "byte_fallback", value=True), "model.byte_fallback must be None or False"),
    (put("model", "ignore_merges", value=True), "model.ignore_merges must be None or False"),
    (put("model", "end_of_word_suffix", value="</w>"), "model.end_of_word_suffix must be None or '', .* got '</w>'"),
    (put("normalizer", value={"type": "NFC"}), "normalizer must be null"),
    (put("pre_tokenizer", value={"type": "Whitespace"}), "pre_tokenizer must be null or of type 'ByteLevel'"),
    (put("pre_tokenizer", "use_regex", value=False), "pre_tokenizer must be null or of type 'ByteLevel'"),
    (put("pre_tokenizer", value=sequence("pretokenizers")), "pre_tokenizer must be null or of type 'ByteLevel'"),
    (put("pre_tokenizer", value=sequence("pretokenizers", byte_level(), byte_level())), "pre_tokenizer must be null"),
    (put("pre_tokenizer", value=sequence("pretokenizers", byte_level(use_regex=False))), "pre_tokenizer must be null"),
    (put("decoder", value=sequence("decoders", {"type": "Fuse"})), "decoder must be null"),
    (put("normalizer", value=sequence("normalizers", {"type": "NFC"})), "normalizer must be null"),
    (put("pre_tokenizer", value="ByteLevel"), "pre_tokenizer must be an object"),
    (put("post_processor", value={"type": "ByteLevel"}), "post_processor must be null or of type"),
    (put("post_processor", "cls", value=["<s>", 5]), "post_processor.cls must be a token and its id"),
    (put("post_processor", "sep", value="</s>"), "post_processor.sep must be a list"),
    (put("decoder", value={"type": "WordPiece"}), "decoder must be null"),
    (put("added_tokens", value={}), "added_tokens must be a list"),
    (put("added_tokens", 0, value="<s>"), r"added_tokens\[0\] must be an object"),
    (put("added_tokens", 0, "id", value="0"), r"added_tokens\[0\].id must be an integer"),
    (put("added_tokens", 1, "id", value=7), "must be 1, .* got 7"),
    (put("added_tokens", 0, "content", value=None), "must be a non-empty string"),
    (put("padding", value={"direction": "Up"}), "padding.direction must be"),
]


@pytest.mark.parametrize(("change", "message"), SERIALIZED_FAULTS)
def test_a_tokenizer_json_with_a_fault(alone, change, message):
    edit(alone / "tokenizer.json", change)
    with pytest.raises(CheckpointError, match=message) as caught:
        LongformerTokenizer.from_pretrained(alone)
    assert "tokenizer.json" in str(caught.value)
