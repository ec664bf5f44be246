"""Loading: both forms of a vocabulary, the settings beside it, and files that a stranger may have tampered with."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizer.vocabularies import DEMO

from lf_ref.errors import CheckpointError, InputError
from lf_ref.tokenizer import AddedToken, LongformerTokenizer

TEXT = "A, <mask> sentence\u2009that isn't easy.  </s> 👩‍👩‍👧"
FILES = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo's tokenizer in its four files."""
    for name in FILES:
        shutil.copy(DEMO / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def alone(tmp_path: Path, demo: LongformerTokenizer) -> Path:
    """The demo's tokenizer as a tokenizer.json alone."""
    demo.save_pretrained(tmp_path)
    for path in tmp_path.iterdir():
        if path.name != "tokenizer.json":
            path.unlink()
    return tmp_path


def edit(path: Path, change: Any) -> None:
    """Change the content of a JSON file in place, by a function or by new entries."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    content = change(content) or content if callable(change) else content | change
    path.write_text(json.dumps(content))


def ids(folder: Path, **options: Any) -> list[int]:
    return LongformerTokenizer.from_pretrained(folder, **options).encode(TEXT)


def test_none_and_demo_are_the_bundled_one(demo):
    assert LongformerTokenizer.from_pretrained("demo").get_vocab() == demo.get_vocab()
    assert demo.vocab_size == len(demo) == len(json.loads((DEMO / "vocab.json").read_text()))


def test_settings_of_the_files_and_what_overrides_them(folder, demo):
    edit(folder / "tokenizer_config.json", {"model_max_length": 77, "padding_side": "left", "add_prefix_space": True})
    tokenizer = LongformerTokenizer.from_pretrained(folder)
    assert (tokenizer.model_max_length, tokenizer.padding_side, tokenizer.add_prefix_space) == (77, "left", True)
    overridden = LongformerTokenizer.from_pretrained(folder, add_prefix_space=False, padding_side="right")
    assert (overridden.model_max_length, overridden.padding_side) == (77, "right")
    assert overridden.encode(TEXT) == demo.encode(TEXT)


def test_no_limit_written_as_a_float(folder):
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1e30}')
    assert LongformerTokenizer.from_pretrained(folder).model_max_length == int(1e30)


def test_from_files_and_from_data(folder, demo):
    vocab = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().splitlines()[1:]
    for merges in (lines, [tuple(line.split(" ")) for line in lines], folder / "merges.txt"):
        for vocab_file in (vocab, folder / "vocab.json", str(folder / "vocab.json")):
            assert LongformerTokenizer(vocab_file, merges).encode(TEXT) == demo.encode(TEXT)
    assert vocab == json.loads((folder / "vocab.json").read_text())
    with pytest.raises(InputError, match="from_pretrained"):
        LongformerTokenizer(vocab)


@pytest.mark.parametrize("version", [True, False])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
def test_merges_lose_no_line(folder, demo, version, newline, final):
    lines = (folder / "merges.txt").read_text().splitlines()
    lines = lines if version else lines[1:]
    (folder / "merges.txt").write_bytes((newline.join(lines) + newline * final).encode())
    assert LongformerTokenizer.from_pretrained(folder)._encoder.pairs.merges == demo._encoder.pairs.merges


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


def test_additional_special_tokens_of_both_files(folder):
    edit(folder / "tokenizer_config.json", {"additional_special_tokens": ["<x>", "<y>"]})
    edit(folder / "special_tokens_map.json", {"additional_special_tokens": ["<y>", {"content": "<z>"}]})
    assert LongformerTokenizer.from_pretrained(folder).additional_special_tokens == ["<x>", "<y>", "<z>"]
    overridden = LongformerTokenizer.from_pretrained(folder, additional_special_tokens=["<q>"])
    assert overridden.additional_special_tokens == ["<q>"]


def test_added_tokens_from_every_file(folder, demo):
    size = len(demo)
    (folder / "added_tokens.json").write_text(json.dumps({"<new>": size + 1, "<x>": size}))
    edit(folder / "special_tokens_map.json", {"additional_special_tokens": ["<x>"]})
    tokenizer = LongformerTokenizer.from_pretrained(folder)
    assert tokenizer.get_added_vocab() | {"<x>": size, "<new>": size + 1} == tokenizer.get_added_vocab()
    assert tokenizer.decode([size, size + 1], skip_special_tokens=True) == "<new>"
    # A decoder in the settings says everything; the older files are not looked at.
    decoder = {str(size): {"content": "<y>", "rstrip": True, "special": True}}
    edit(folder / "tokenizer_config.json", {"added_tokens_decoder": decoder})
    tokenizer = LongformerTokenizer.from_pretrained(folder)
    assert tokenizer.added_tokens_decoder[size] == AddedToken("<y>", rstrip=True, special=True)
    assert tokenizer.tokenize("a<y>  b<x>")[:3] == ["a", "<y>  ", "b"]
    assert tokenizer.convert_tokens_to_ids("<x>") == tokenizer.unk_token_id


def test_tokens_that_the_vocabulary_lacks_are_added_in_hfs_order():
    tokenizer = LongformerTokenizer({"a": 0, "<s>": 1}, [], additional_special_tokens=["<q>"])
    assert tokenizer.get_added_vocab() == {
        "<s>": 1, "</s>": 2, "<unk>": 3, "<pad>": 4, "<mask>": 5, "<q>": 6,
    }  # fmt: skip
    assert (len(tokenizer), tokenizer.vocab_size) == (7, 2)


def test_gaps_between_ids_are_no_fault():
    tokenizer = LongformerTokenizer({"<s>": 0, "</s>": 2, "<pad>": 3, "<unk>": 4, "<mask>": 5, "a": 7, "b": 9}, [])
    assert tokenizer.encode("ab<mask>") == [0, 7, 9, 5, 2]
    assert tokenizer.add_tokens(["new", "newer", "newest"]) == 3
    # As in HF from the number of tokens on, but never an id that is taken.
    assert tokenizer.convert_tokens_to_ids(["new", "newer", "newest"]) == [8, 10, 11]
    assert tokenizer.encode("anewera") == [0, 7, 10, 7, 2]


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
    "surrogate": ('{"a": 1, "b\\ud800": 2}', "holds a lone surrogate"),
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
    "three": ("t h e\n", "merge 0, 't h e', is not two tokens"),
    "one": ("the\n", "merge 0, 'the', is not two tokens"),
    "blank": ("t h\n\nt h\n", "merge 1, '', is not two tokens"),
    "unknown part": ("t h\nt \u00ff\u00ff\n", "merge 1, 't ÿÿ', needs the token 'ÿÿ'"),
    "unknown join": ("t h\nq q\n", "merge 1, 'q q', needs the token 'qq'"),
    "tab": ("t\th\n", "is not two tokens"),
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
    ("tokenizer_config.json", {"mask_token": {"content": "<m>", "lstrip": 1}}, "lstrip of the added token '<m>'"),
    ("tokenizer_config.json", {"mask_token": {"content": "<m>", "colour": 1}}, "unknown keys .*colour"),
    ("tokenizer_config.json", {"mask_token": {"content": ""}}, "must be a non-empty string"),
    ("tokenizer_config.json", {"mask_token": {"content": "\ud800"}}, "lone surrogate"),
    ("tokenizer_config.json", {"additional_special_tokens": "<x>"}, "additional_special_tokens must be a list"),
    ("tokenizer_config.json", {"additional_special_tokens": [7]}, r"additional_special_tokens\[0\] must be"),
    ("tokenizer_config.json", {"model_input_names": [7]}, r"model_input_names\[0\] must be a string"),
    ("tokenizer_config.json", {"added_tokens_decoder": []}, "added_tokens_decoder must be an object"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"x": {}}}, "must have ids for keys, got 'x'"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"9": "<x>"}}, r"added_tokens_decoder\.9 must be an object"),
    ("tokenizer_config.json", {"added_tokens_decoder": {"9": {"content": "<x>"}}}, "has the id 9 there, but 8192"),
    ("special_tokens_map.json", {"cls_token": ["<s>"]}, "cls_token must be an object"),
    ("added_tokens.json", {"<x>": "9"}, "'<x>' must be an integer"),
    ("added_tokens.json", {"<x>": 2**70}, "has the id 1180591620717411303424 there, but 8192"),
    ("added_tokens.json", {"<x>": 8192, "<y>": 8192}, "'<x>' and '<y>' both have the id 8192"),
    ("added_tokens.json", {"": 8192}, "must be a non-empty string"),
]


@pytest.mark.parametrize(("name", "change", "message"), SETTINGS_FAULTS)
def test_settings_with_a_fault(folder, name, change, message):
    edit(folder / name, change)
    with pytest.raises(CheckpointError, match=message) as caught:
        LongformerTokenizer.from_pretrained(folder)
    if "has the id" not in message:
        assert name in str(caught.value)


def put(*path: Any, value: Any) -> Any:
    def change(content: dict[str, Any]) -> None:
        place: Any = content
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


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
    with pytest.raises(CheckpointError, match=rf"{name}.*{kind}"):
        LongformerTokenizer.from_pretrained(tmp_path)


def test_no_vocabulary_at_all(tmp_path):
    with pytest.raises(CheckpointError, match=r"tokenizer\.json, or vocab\.json and merges\.txt"):
        LongformerTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"merges\.txt"):
        LongformerTokenizer.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="no_such"):
        LongformerTokenizer(tmp_path / "no_such.json", tmp_path / "no_such.txt")


def test_an_option_that_does_not_exist(folder):
    with pytest.raises(TypeError, match="do_lower_case"):
        LongformerTokenizer.from_pretrained(folder, do_lower_case=True)


def test_saved_and_loaded_again_it_is_the_same(tmp_path, demo):
    tokenizer = LongformerTokenizer.from_pretrained(
        add_prefix_space=True, trim_offsets=False, errors="ignore", padding_side="left", truncation_side="left",
        model_max_length=77, additional_special_tokens=["<q>"], clean_up_tokenization_spaces=True,
    )  # fmt: skip
    tokenizer.add_tokens([AddedToken("  new\tone", rstrip=True, single_word=True), "café"])
    tokenizer.add_special_tokens({"mask_token": "[M]"})
    tokenizer._others["chat_template"] = {"kept": "as it is"}
    written = tokenizer.save_pretrained(tmp_path / "made" / "here")
    assert {Path(path).name for path in written} == {*FILES, "tokenizer.json", "added_tokens.json"}
    text = "<q> a  new\tone  b café [M] <mask> isn 't"
    for left_out in (
        [],
        ["tokenizer.json"],
        ["vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"],
    ):
        for name in left_out:
            (tmp_path / "made" / "here" / name).unlink()
        again = LongformerTokenizer.from_pretrained(tmp_path / "made" / "here")
        assert vars(again)["roles"] == vars(tokenizer)["roles"]
        assert again._others == tokenizer._others
        assert again.get_vocab() == tokenizer.get_vocab()
        assert again.added_tokens_decoder == tokenizer.added_tokens_decoder
        assert again(text, return_offsets_mapping=True) == tokenizer(text, return_offsets_mapping=True)
        assert again.decode(again.encode(text)) == tokenizer.decode(tokenizer.encode(text))
        for name in ("errors", "padding_side", "truncation_side", "model_max_length", "clean_up_tokenization_spaces"):
            assert getattr(again, name) == getattr(tokenizer, name)
        tokenizer.save_pretrained(tmp_path / "made" / "here")


def test_saving_over_other_files(tmp_path, demo):
    (tmp_path / "added_tokens.json").write_text('{"<old>": 8192}')
    demo.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.json",
    ]  # fmt: skip
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be saved in"):
        demo.save_pretrained(tmp_path / "file")
