"""Loading and saving: vocabulary, merges and settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizer.editing import TEXT, edit
from tokenizer.vocabularies import DEMO, FILES

from lf_ref.errors import CheckpointError, InputError
from lf_ref.tokenizer import AddedToken, LongformerTokenizer


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
