"""Loading and saving: vocabulary, merges and settings, and untrusted files."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizer.editing import TEXT, edit, put
from tokenizer.vocabularies import DEMO

from lf_ref.errors import CheckpointError, InputError
from lf_ref.tokenizer import AddedToken, LongformerTokenizer

FILES = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo's tokenizer in its four files."""
    for name in FILES:
        shutil.copy(DEMO / name, tmp_path / name)
    return tmp_path


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


ROLES = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}


@pytest.mark.parametrize("serialized", [False, True])
@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("nulls", [{}, {"bos_token": None}, {"bos_token": None, "eos_token": None}])
def test_cls_and_sep_stand_for_roles_that_there_are_not(tmp_path, file, nulls, serialized):
    vocab = {token: number for number, token in enumerate([*ROLES.values(), "a", "b", "ab"])}
    tokenizer = LongformerTokenizer(vocab, ["a b"], **ROLES, bos_token=None, eos_token=None)
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "special_tokens_map.json").unlink()
    (tmp_path / "tokenizer_config.json").unlink()
    if not serialized:
        (tmp_path / "tokenizer.json").unlink()
    (tmp_path / file).write_text(json.dumps(ROLES | nulls))
    for made in (tokenizer, LongformerTokenizer.from_pretrained(tmp_path)):
        assert (made.bos_token, made.eos_token) == ("[CLS]", "[SEP]")
        assert (made.bos_token_id, made.eos_token_id) == (0, 1)
        assert (len(made), made.encode("ab[MASK]b")) == (8, [0, 7, 4, 6, 1])


def test_bos_and_eos_stand_for_cls_and_sep_that_there_are_not(folder, demo):
    edit(folder / "tokenizer_config.json", {"cls_token": None, "sep_token": None})
    edit(folder / "special_tokens_map.json", {"cls_token": None, "sep_token": None})
    tokenizer = LongformerTokenizer.from_pretrained(folder)
    assert (tokenizer.cls_token, tokenizer.sep_token) == ("<s>", "</s>")
    assert tokenizer.encode("a", "b") == demo.encode("a", "b")


@pytest.mark.parametrize("file", ["tokenizer_config.json", "special_tokens_map.json"])
def test_bos_and_eos_stand_for_cls_and_sep_that_no_file_names(tmp_path, file):
    """HF adds `<s>` and `</s>`, for which the model has no embeddings."""
    roles = {"bos_token": "[CLS]", "eos_token": "[SEP]", **{name: ROLES[name] for name in list(ROLES)[2:]}}
    vocab = {token: number for number, token in enumerate([*roles.values(), "a"])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    (tmp_path / file).write_text(json.dumps(roles))
    tokenizer = LongformerTokenizer.from_pretrained(tmp_path)
    assert (tokenizer.cls_token, tokenizer.sep_token, len(tokenizer)) == ("[CLS]", "[SEP]", len(vocab))
    assert tokenizer.encode("a", "a") == [0, 5, 1, 1, 5, 1]


def test_a_tokenizer_json_alone_names_roles_that_the_vocabulary_has(tmp_path):
    vocab = {token: number for number, token in enumerate([*ROLES.values(), "a"])}
    LongformerTokenizer(vocab, [], **ROLES, bos_token=None, eos_token=None).save_pretrained(
        tmp_path, legacy_format=False
    )
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / name).unlink()
    edit(tmp_path / "special_tokens_map.json", {name: ROLES[name] for name in ("pad_token", "unk_token", "mask_token")})
    tokenizer = LongformerTokenizer.from_pretrained(tmp_path)
    assert (tokenizer.cls_token, tokenizer.sep_token, tokenizer.bos_token) == ("[CLS]", "[SEP]", "[CLS]")
    assert len(tokenizer) == len(vocab)


def test_roles_that_files_leave_open_are_those_of_hf(folder):
    edit(folder / "tokenizer_config.json", {"cls_token": "</s>"})
    (folder / "special_tokens_map.json").unlink()
    assert LongformerTokenizer.from_pretrained(folder).bos_token == "<s>"


def test_model_max_length_of_the_settings(folder):
    (folder / "special_tokens_map.json").unlink()
    for limits, length in (({"max_len": 7}, 7), ({"model_max_length": 5, "max_len": 7}, 5)):
        (folder / "tokenizer_config.json").write_text(json.dumps(limits))
        tokenizer = LongformerTokenizer.from_pretrained(folder)
        assert len(tokenizer("a " * 20, truncation=True).input_ids) == length
        assert len(tokenizer("a", padding="max_length").input_ids) == length
        rows = tokenizer("a " * 20, truncation=True, stride=1, return_overflowing_tokens=True).input_ids
        assert max(map(len, rows)) == length


def test_extra_special_tokens_of_the_settings(folder):
    edit(folder / "tokenizer_config.json", {"extra_special_tokens": {"image_token": "<img>"}, "image_token": "<img>"})
    tokenizer = LongformerTokenizer.from_pretrained(folder)
    assert tokenizer.image_token_id == tokenizer.vocab_size
    tokenizer.save_pretrained(folder)
    tokenizer.image_token = "</s>"
    tokenizer.save_pretrained(folder / "again")
    assert LongformerTokenizer.from_pretrained(folder).image_token == "<img>"
    again = LongformerTokenizer.from_pretrained(folder / "again")
    assert (again.image_token, again.tokenize("a<img>")) == ("</s>", ["a", "<img>"])
    edit(folder / "tokenizer_config.json", {"extra_special_tokens": ["<x>"]})  # as transformers 5 writes them
    assert LongformerTokenizer.from_pretrained(folder).additional_special_tokens == ["<x>"]


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


def test_an_option_that_does_not_exist(folder):
    with pytest.raises(InputError, match=r"do_lower_case=False or None only, got True: .*text\.lower\(\)"):
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
