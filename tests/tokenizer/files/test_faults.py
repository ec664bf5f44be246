"""Files of a tokenizer that are damaged, hostile or missing are refused by name."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizer.editing import edit, put
from tokenizer.vocabularies import FILES

from lf_ref.errors import CheckpointError, InputError
from lf_ref.tokenizer import LongformerTokenizer


def deep(text: str) -> str:
    return "[" * 100_000 + text


VOCAB_FAULTS = {
    "not json": ("nonsense", "not usable JSON"),
    "no object": ("[1, 2]", "must be an object"),
    "nested": (deep(""), "nested too deeply"),
    "empty": ("{}", "has no tokens"),
    "string id": ('{"a": "1"}', "must be an integer, got '1'"),
    "float id": ('{"a": 1.0}', "must be an integer"),
    "boolean id": ('{"a": true}', "must be an integer"),
    "null id": ('{"a": null}', "must be an integer"),
    "list id": ('{"a": [[[[[[[[[[]]]]]]]]]]}', "must be an integer"),
    "negative id": ('{"a": -1}', r"must be in 0\.\.2147483647, got -1"),
    "huge id": ('{"a": 1, "b": 99999999999999999999}', "must be in 0"),
    "endless id": ('{"a": ' + "9" * 100_000 + "}", "vocab.json"),
    "equal ids": ('{"a": 1, "b": 2, "c": 1}', "'a' and 'c' both have the id 1"),
    "surrogate": ('{"a": 1, "b\\ud800": 2}', "must not contain a lone surrogate"),
    "infinite": ('{"a": Infinity}', "must be an integer"),
}


@pytest.mark.parametrize("fault", VOCAB_FAULTS)
def test_a_vocabulary_with_a_fault(folder, fault):
    content, message = VOCAB_FAULTS[fault]
    (folder / "vocab.json").write_text(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        LongformerTokenizer.from_pretrained(folder)
    assert "vocab.json" in str(caught.value)
    assert len(str(caught.value)) < 600


MERGES_FAULTS = {
    "three": ("t h e\n", "merge 0, 't h e', must be two tokens"),
    "one": ("the\n", "merge 0, 'the', must be two tokens"),
    "blank": ("t h\n\nt h\n", "merge 1, '', must be two tokens"),
    "unknown part": ("t h\nt \u00ff\u00ff\n", "merge 1, 't ÿÿ', needs the token 'ÿÿ'"),
    "unknown join": ("t h\nq q\n", "merge 1, 'q q', needs the token 'qq'"),
    "tab": ("t\th\n", "must be two tokens"),
}


@pytest.mark.parametrize("fault", MERGES_FAULTS)
def test_merges_that_do_not_fit(folder, fault):
    content, message = MERGES_FAULTS[fault]
    (folder / "merges.txt").write_text("#version: 0.2\n" + content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=message) as caught:
        LongformerTokenizer.from_pretrained(folder)
    assert "merges.txt" in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_bytes_that_are_no_utf8(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:20] + b"\xff" + content[20:])
    with pytest.raises(CheckpointError, match=rf"{name} is not UTF-8: byte 20 is 0xFF"):
        LongformerTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "tokenizer_config.json", "tokenizer.json"])
def test_a_file_too_large_is_not_read(folder, name):
    with open(folder / name, "wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(CheckpointError, match=rf"{name} has 1099511627776 bytes"):
        LongformerTokenizer.from_pretrained(folder)


SETTINGS_FAULTS: list[tuple[str, Any, str]] = [
    ("tokenizer_config.json", {"model_max_length": "long"}, "model_max_length must be an integer"),
    ("tokenizer_config.json", {"model_max_length": 0}, "model_max_length must be at least 1"),
    ("tokenizer_config.json", {"add_prefix_space": "no"}, "add_prefix_space must be true or false"),
    ("tokenizer_config.json", {"errors": 3}, "errors must be a string"),
    ("tokenizer_config.json", {"mask_token": 3}, "mask_token must be an object"),
    ("tokenizer_config.json", {"mask_token": {"lstrip": True}}, "mask_token has no content"),
    (
        "tokenizer_config.json",
        {"mask_token": {"content": "<m>", "lstrip": 1}},
        "lstrip of the added token '<m>'",
    ),
    ("tokenizer_config.json", {"mask_token": {"content": "<m>", "colour": 1}}, "unknown keys .*colour"),
    ("tokenizer_config.json", {"mask_token": {"content": ""}}, "must be a non-empty string"),
    ("tokenizer_config.json", {"mask_token": {"content": "\ud800"}}, "lone surrogate"),
    ("tokenizer_config.json", {"additional_special_tokens": "<x>"}, "additional_special_tokens must be a list"),
    ("tokenizer_config.json", {"additional_special_tokens": [7]}, r"additional_special_tokens\[0\] must be"),
    ("tokenizer_config.json", {"model_input_names": [7]}, r"model_input_names\[0\] must be a string"),
    ("tokenizer_config.json", {"added_tokens_decoder": []}, "added_tokens_decoder must be an object"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"x": {}}}, "must have ids as keys, got 'x'"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"9": "<x>"}}, r"added_tokens_decoder\.9 must be an object"),
    (
        "tokenizer_config.json",
        {"added_tokens_decoder": {"9": {"content": "<x>"}}},
        "the order of the added tokens, got 9",
    ),
    ("special_tokens_map.json", {"cls_token": ["<s>"]}, "cls_token must be an object"),
    ("added_tokens.json", {"<x>": "9"}, "'<x>' must be an integer"),
    ("added_tokens.json", {"<x>": 2**70}, "the order of the added tokens, got 1180591620717411303424"),
    ("added_tokens.json", {"<x>": 8192, "<y>": 8192}, "'<x>' and '<y>' both have the id 8192"),
    ("added_tokens.json", {"": 8192}, "must be a non-empty string"),
]


@pytest.mark.parametrize(("name", "change", "message"), SETTINGS_FAULTS)
def test_settings_with_a_fault(folder, name, change, message):
    edit(folder / name, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        LongformerTokenizer.from_pretrained(folder)
    if "order of the added tokens" not in message:
        assert name in str(caught.value)


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 9000), st.floats(), st.text(max_size=3)),
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(st.text(max_size=3), children, max_size=3)
    ),
    max_leaves=7,
)


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values, but for the many of a vocabulary."""
    found = [path]
    if isinstance(content, dict) and len(content) < 50:
        found += [place for key, value in content.items() for place in places(value, (*path, key))]
    if isinstance(content, list) and len(content) < 50:
        found += [place for number, value in enumerate(content) for place in places(value, (*path, number))]
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_value_in_any_place_loads_or_is_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    small = LongformerTokenizer({"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4, "a": 5, "aa": 6}, ["a a"])
    small.save_pretrained(folder)
    name = data.draw(
        st.sampled_from(["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json"])
    )
    if name in ("vocab.json", "special_tokens_map.json"):
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer_config.json").unlink()
    content = json.loads((folder / name).read_text())
    path = data.draw(st.sampled_from(places(content)))
    value = data.draw(JSON_VALUES)
    if path:
        put(*path, value=value)(content)
    else:
        content = value
    (folder / name).write_text(json.dumps(content))
    with suppress(CheckpointError, InputError):
        LongformerTokenizer.from_pretrained(folder).encode("aaa<mask>")


@pytest.mark.parametrize(("name", "kind"), [("vocab.txt", "WordPiece"), ("sentencepiece.bpe.model", "SentencePiece")])
def test_a_vocabulary_of_another_kind_is_refused_by_name(tmp_path, name, kind):
    (tmp_path / name).write_text("[PAD]\n[UNK]\n")
    with pytest.raises(CheckpointError, match=rf"{name}.*{kind}.*tokenizer= to a"):
        LongformerTokenizer.from_pretrained(tmp_path)


def test_no_vocabulary_at_all(tmp_path):
    with pytest.raises(CheckpointError, match=r"tokenizer\.json, or vocab\.json and merges\.txt"):
        LongformerTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"merges\.txt"):
        LongformerTokenizer.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no_such"):
        LongformerTokenizer(tmp_path / "no_such.json", tmp_path / "no_such.txt")


def test_an_error_for_a_missing_tokenizer_names_the_way_out(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError) as caught:
        LongformerTokenizer.from_pretrained(tmp_path)
    assert "tokenizer= to a pipeline" in str(caught.value)
    assert "LongformerTokenizer.from_pretrained" in str(caught.value)


LONG = "x" * 9999
MANY = [{"y" * 99: ["z" * 99] * 99}] * 99


@pytest.mark.parametrize(
    "value", [LONG, MANY, {LONG: MANY}, 10**3000, [[LONG] * 9] * 9], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("name", [*FILES[2:], "tokenizer.json", "vocab.json", "added_tokens.json"])
def test_a_message_holds_at_most_a_line_of_a_file(folder, tmp_path, name, value):
    """Beside a vocabulary of bytes alone, since each position needs one more load."""
    tokens = [token for token in json.loads((folder / "vocab.json").read_text()) if len(token) == 1 or token[0] == "<"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("")
    tokenizer = LongformerTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<new>"])
    tokenizer.save_pretrained(tmp_path)
    if name in ("vocab.json", "special_tokens_map.json", "added_tokens.json"):
        (tmp_path / "tokenizer.json").unlink()
        (tmp_path / "tokenizer_config.json").unlink()
    content = json.loads((tmp_path / name).read_text())
    messages = []
    for path in places(content)[1:]:
        changed = json.loads(json.dumps(content))
        put(*path, value=value)(changed)
        (tmp_path / name).write_text(json.dumps(changed))
        try:
            LongformerTokenizer.from_pretrained(tmp_path)
        except (CheckpointError, InputError) as error:
            messages.append(str(error).replace(str(tmp_path), ""))
    assert all(len(message) < 450 and "\n" not in message for message in messages), max(messages, key=len)
