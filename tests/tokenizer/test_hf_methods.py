"""HF's arguments, attributes and methods, and the errors for those that a Longformer does not have."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from tokenizer.vocabularies import DEMO

from lf_ref.errors import InputError
from lf_ref.tokenizer import AddedToken, BatchEncoding, LongformerTokenizer


def test_hfs_arguments_of_loading(demo):
    load = LongformerTokenizer.from_pretrained
    assert load(pretrained_model_name_or_path=DEMO).name_or_path == str(DEMO)
    allowed = {
        "use_fast": False, "trust_remote_code": False, "resume_download": True, "proxies": None, "config": object(),
        "tokenizer_type": "longformer", "from_slow": False, "gguf_file": None, "use_auth_token": None, "revision": None,
        "force_download": False, "subfolder": None, "do_lower_case": False, "max_len": 99, "verbose": False,
    }  # fmt: skip
    loaded = load(DEMO, **allowed)
    assert loaded.model_max_length == 99
    assert loaded.get_vocab() == demo.get_vocab()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trust_remote_code": True}, "trust_remote_code=False or None only, got True: code from"),
        ({"proxies": {"https": "x"}}, "HTTPS_PROXY"),
        ({"tokenizer_type": "bert"}, "tokenizer_type=None or 'longformer' or 'roberta' only, got 'bert'"),
        ({"from_slow": True}, "vocab_file= and merges_file="),
        ({"gguf_file": "x.gguf"}, "convert it to tokenizer.json"),
        ({"do_lower_case": True}, r"text\.lower\(\)"),
        ({"tokenizer_object": object()}, r"tokenizer_object\.save\(path\)"),
        ({"name": DEMO, "pretrained_model_name_or_path": DEMO}, "are the same argument"),
        ({"model_max_len": 3}, "the nearest is 'model_max_length'"),
        ({"add_prefix": True}, "the nearest is 'add_prefix_space'"),
        ({"vocab_file": "vocab.json"}, "takes no argument 'vocab_file'"),
    ],
)
def test_arguments_of_loading_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        LongformerTokenizer.from_pretrained(**options)


UNKNOWN = [
    (lambda t: LongformerTokenizer({}, [], nonsense=1), "LongformerTokenizer() takes no argument 'nonsense'"),
    (lambda t: t("a", maxlength=3), "'max_length'"),
    (lambda t: t("a", return_tensor="np"), "'return_tensors'"),
    (lambda t: t("a", pad_to_max_length=True), 'padding="max_length"'),
    (lambda t: t.encode("a", truncate=True), "'truncation'"),
    (lambda t: t.tokenize("a", add_special=True), "'add_special_tokens'"),
    (lambda t: t.encode_plus("a", pad=True), "'padding'"),
    (lambda t: t.batch_encode_plus(["a"], pad=True), "'padding'"),
    (lambda t: t.decode([5], skip_special=True), "'skip_special_tokens'"),
    (lambda t: t.batch_decode([[5]], cleanup=True), "'clean_up_tokenization_spaces'"),
    (lambda t: t.pad({"input_ids": [5]}, maximum_length=3), "'max_length'"),
    (lambda t: t.prepare_for_model([5], return_offset_mapping=True), "'return_offsets_mapping'"),
    (lambda t: t.prepare_for_model([5], return_offsets_mapping=True), "call the tokenizer with the text"),
    (lambda t: t.save_pretrained("x", legacy=True), "'legacy_format'"),
    (lambda t: t.save_pretrained("x", push_to_hub=True), "upload_folder"),
    (lambda t: t.save_vocabulary("x", prefix="y"), "'filename_prefix'"),
    (lambda t: t.add_tokens(["x"], special=True), "'special_tokens'"),
    (lambda t: t.add_special_tokens({}, replace=True), "'replace_additional_special_tokens'"),
    (lambda t: t.convert_ids_to_tokens([5], skip_special=True), "'skip_special_tokens'"),
    (lambda t: t.num_special_tokens_to_add(pairs=True), "'pair'"),
    (lambda t: t("a").tokens(batch=0), "'batch_index'"),
    (lambda t: t("a").char_to_token(chars_index=0), "'char_index'"),
    (lambda t: t("a").convert_to_tensors(tensor="np"), "'tensor_type'"),
    (lambda t: t("a").to("cpu", non_blockin=True), "'non_blocking'"),
    (lambda t: BatchEncoding(datas={}), "'data'"),
    (lambda t: t("a")[0].word_to_tokens(words=0), "'word'"),
    (lambda t: AddedToken("x", lstripped=True), "'lstrip'"),
]


@pytest.mark.parametrize(("call", "message"), UNKNOWN)
def test_an_unknown_argument_is_an_error_that_names_the_nearest(tokenizer, call, message):
    with pytest.raises(InputError) as caught:
        call(tokenizer)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("get", "message"),
    [
        (lambda t: t.apply_chat_template, "join the messages into one text"),
        (lambda t: t.backend_tokenizer, "the tokenizers library is not used"),
        (lambda t: t.encoder, r"get_vocab\(\)"),
        (lambda t: t.train_new_from_iterator, "train with the tokenizers library"),
        (lambda t: t.push_to_hub, "upload_folder"),
        (lambda t: t.slow_tokenizer_class, "the only class"),
        (lambda t: t.set_truncation_and_padding, "in each call"),
        (lambda t: t.prepare_seq2seq_batch, "text_target="),
        (lambda t: t.register_for_auto_class, "by its name"),
        (lambda t: t.pad_tokens, "the nearest is 'pad_token'"),
        (lambda t: t("a").input_id, "the nearest is 'input_ids'"),
        (lambda t: t("a")[0].truncate, "max_length="),
        (lambda t: t("a")[0].offset, "the nearest is 'offsets'"),
    ],
)
def test_an_unknown_attribute(tokenizer, get, message):
    with pytest.raises(InputError, match=message) as caught:
        get(tokenizer)
    assert isinstance(caught.value, AttributeError)


@pytest.mark.parametrize(
    "name", ["vocab_size", "vocab", "pad_token_type_id", "all_special_ids", "extra_special_tokens"]
)
def test_what_follows_from_the_files_cannot_be_set(tokenizer, name):
    before = getattr(tokenizer, name)
    with pytest.raises(InputError, match=f"{name} of a LongformerTokenizer cannot be set: make another"):
        setattr(tokenizer, name, 5)
    assert getattr(tokenizer, name) == before


def test_probing_for_attributes_goes_on_working(tokenizer):
    assert not hasattr(tokenizer, "backend_tokenizer")
    assert not hasattr(tokenizer, "__array__")
    assert getattr(tokenizer("a"), "labels", None) is None
    assert "input_ids" in dir(tokenizer("a"))
    for copied in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert copied.encode("a b") == tokenizer.encode("a b")
    encoded = tokenizer("a b")
    assert pickle.loads(pickle.dumps(encoded)) == copy.copy(encoded) == encoded


class Device:
    """Such as torch's."""

    def __str__(self) -> str:
        return "cpu"


def test_results_stay_on_the_cpu(tokenizer):
    encoded = tokenizer("a", return_tensors="np")
    for device in ("cpu", Device()):
        assert encoded.to(device) is encoded.to(device, non_blocking=True) is encoded
    for device in ("cuda", "cuda:0", 0, None):
        with pytest.raises(InputError, match=r'"cpu" only.*leave it out'):
            encoded.to(device)


def test_a_batch_encoding_from_one_row(tokenizer):
    row = tokenizer("a b")[0]
    made = BatchEncoding({"input_ids": row.ids}, encoding=row, tensor_type="np", prepend_batch_axis=True)
    assert made.input_ids.tolist() == [row.ids]
    assert made.tokens() == row.tokens
    with pytest.raises(InputError, match="it is counted"):
        BatchEncoding({}, n_sequences=1)


def test_arguments_of_rows_by_the_names_of_the_tokenizers_library(tokenizer):
    row = tokenizer("ab cd", "ef")[0]
    last = len(row) - 2
    assert row.token_to_sequence(token_index=last) == row.token_to_sequence(last) == 1
    assert row.token_to_word(token_index=1) == row.token_to_word(1)
    assert row.token_to_chars(token_index=1) == row.token_to_chars(1)
    assert row.word_to_tokens(word_index=0, sequence_index=1) == row.word_to_tokens(0, 1)
    assert row.word_to_chars(word_index=0, sequence_index=1) == row.word_to_chars(0, 1)
    assert row.char_to_token(char_pos=0, sequence_index=1) == row.char_to_token(0, 1)
    assert row.char_to_word(char_pos=0, sequence_index=1) == row.char_to_word(0, 1)


def test_integers_of_numpy(tokenizer):
    n = np.int64
    plain = tokenizer("a b c d e", truncation=True, max_length=5, stride=1, return_overflowing_tokens=True)
    options = {"truncation": True, "max_length": n(5), "stride": np.uint8(1), "return_overflowing_tokens": True}
    assert tokenizer("a b c d e", **options) == plain
    assert tokenizer("a", padding=True, pad_to_multiple_of=np.int32(8)) == tokenizer(
        "a", padding=True, pad_to_multiple_of=8
    )
    assert tokenizer.pad({"input_ids": [5]}, padding="max_length", max_length=n(3)).input_ids == [5, 1, 1]
    assert (
        tokenizer.decode(n(5))
        == tokenizer.decode(np.array(5))
        == tokenizer.decode(np.array([5]))
        == tokenizer.decode(5)
    )
    assert tokenizer.convert_ids_to_tokens(np.array(5)) == tokenizer.convert_ids_to_tokens(5)
    assert tokenizer.prepare_for_model(np.array([5, 6]), max_length=n(3), truncation=True).input_ids == [0, 5, 2]
    assert tokenizer.build_inputs_with_special_tokens(np.array([5])) == [0, 5, 2]
    encoded = tokenizer(["ab cd", "ef"])
    assert encoded[n(1)].ids == encoded[1].ids
    assert encoded.token_to_chars(n(0), n(1)) == encoded.token_to_chars(0, 1)
    assert encoded.word_to_tokens(n(0), n(1)) == encoded.word_to_tokens(0, 1)
    assert encoded.char_to_token(n(0), n(1)) == encoded.char_to_token(0, 1)
    assert len(tokenizer("a", padding=np.str_("max_length"), max_length=9).input_ids) == 9
    assert tokenizer(["a", "a b"], padding=np.True_) == tokenizer(["a", "a b"], padding=True)
    tokenizer.pad_token_id = n(2)
    tokenizer.model_max_length = n(4)
    assert tokenizer("a " * 9, truncation=True).input_ids[-1] == 2
    assert len(tokenizer("a " * 9, truncation=True).input_ids) == 4
    made = LongformerTokenizer({"<s>": n(0), "</s>": n(1), "a": np.int32(2)}, [], model_max_length=np.int16(7))
    assert made.encode("a") == [0, 2, 1]
    assert made.model_max_length == 7
    with pytest.raises(InputError, match="the index of a row must be an integer, got 'x'"):
        encoded.tokens("x")


def test_no_limit_in_all_its_forms():
    for limit in (None, 1e30, int(1e30)):
        tokenizer = LongformerTokenizer.from_pretrained(model_max_length=limit)
        assert tokenizer.model_max_length == int(1e30)
        assert len(tokenizer("a " * 5000, truncation=True).input_ids) > 5000
    tokenizer.model_max_length = 1e30
    assert len(tokenizer("a " * 99, padding="max_length").input_ids) > 99
    tokenizer.model_max_length = "long"
    with pytest.raises(InputError, match="model_max_length must be an integer of at least 1, got 'long'"):
        tokenizer("a")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t("a").char_to_token("x"), "character index must be an integer, got 'x'"),
        (lambda t: t("a").word_to_tokens("x"), "word index must be an integer, got 'x'"),
        (lambda t: t("a").token_to_word(1.5), "token index must be an integer, got 1.5"),
        (lambda t: t.get_special_tokens_mask("ab"), "ids must be a list of integers"),
        (lambda t: t.build_inputs_with_special_tokens(5), "ids must be a list of integers"),
        (lambda t: t.convert_tokens_to_ids(5), "tokens must be strings in a sequence, got 5"),
        (lambda t: t.convert_tokens_to_ids([5]), "tokens must be strings in a sequence, got 5"),
        (lambda t: t.convert_tokens_to_string(5), "tokens must be strings in a sequence, got 5"),
        (lambda t: t.convert_tokens_to_string([5]), "tokens must be strings in a sequence, got 5"),
        (lambda t: t.convert_tokens_to_ids([["a"]]), r"tokens must be strings in a sequence, got \['a'\]"),
        (lambda t: t.convert_tokens_to_ids({"a": 1}), r"tokens must .*, got dict: .*list\(tokens.values\(\)\)"),
        (lambda t: t.convert_tokens_to_string({"a", "b"}), r"tokens must .*, got set: .*sorted\(tokens\)"),
        (lambda t: t.decode({5, 6}), r"ids must be a list of integers, got \{5, 6\}"),
        (lambda t: t.convert_ids_to_tokens({5, 6}), r"ids must be a list of integers, got \{5, 6\}"),
        (lambda t: t.batch_decode(5), "for one sequence call decode"),
        (lambda t: t.pad({"input_ids": 5}), "input_ids must be a list of ids"),
        (lambda t: t.pad({"input_ids": [[5], 6]}), "input_ids must be a list of ids"),
        (lambda t: t.pad({"input_ids": [[5]], "attention_mask": [1]}), "attention_mask must be lists like input_ids"),
        (lambda t: setattr(t, "trim_offsets", "yes"), "trim_offsets must be True or False, got 'yes'"),
        (lambda t: LongformerTokenizer.from_pretrained(model_input_names="input_ids"), "must be a list of names"),
        (lambda t: LongformerTokenizer.from_pretrained(extra_special_tokens=["<x>"]), "additional_special_tokens"),
    ],
)
def test_arguments_of_a_wrong_type(tokenizer, call, message):
    with pytest.raises(InputError, match=message):
        call(tokenizer)


class OtherAddedToken:
    """Has the attributes of an `AddedToken` of HF's tokenizers."""

    def __init__(self, content):
        self.content, self.single_word, self.rstrip = content, False, False
        self.lstrip, self.normalized, self.special = True, False, False


OtherAddedToken.__name__ = "AddedToken"


def test_added_tokens_of_hf():
    other = OtherAddedToken("<other>")
    tokenizer = LongformerTokenizer.from_pretrained(mask_token=other, additional_special_tokens=[other])
    assert (tokenizer.mask_token, tokenizer.additional_special_tokens) == ("<other>", ["<other>"])
    assert tokenizer.special_tokens_map_extended["mask_token"].lstrip
    assert tokenizer.add_tokens([OtherAddedToken("<third>")]) == tokenizer.add_tokens(OtherAddedToken("<4th>")) == 1
    assert tokenizer.add_special_tokens({"pad_token": OtherAddedToken("<p>")}) == 1
    decoder = {len(tokenizer) - 4: OtherAddedToken("<one>")}
    assert LongformerTokenizer.from_pretrained(added_tokens_decoder=decoder).id_of("<one>") == len(tokenizer) - 4
    for wrong in ({"8192": "x"}, {8192: "x"}, [1], "x"):
        with pytest.raises(InputError, match="added_tokens_decoder must map ids"):
            LongformerTokenizer.from_pretrained(added_tokens_decoder=wrong)


def test_entries_and_parts_of_a_batch_encoding(demo):
    encoding = demo("He ran")
    for key in ("labels", "token_type_ids"):
        with pytest.raises(KeyError, match="has no entry"):
            encoding[key]
        with pytest.raises(InputError, match="has no entry"):
            del encoding[key]
        assert encoding.pop(key, None) is None
    for wrong in ({"data": [1]}, {"data": "ab"}, {"encodings": 3}, {"encodings": [3]}):
        with pytest.raises(InputError, match="must be"):
            BatchEncoding(**wrong)


def test_names_of_values_are_a_list():
    tokenizer = LongformerTokenizer.from_pretrained()
    assert LongformerTokenizer.model_input_names == tokenizer.model_input_names == ["input_ids", "attention_mask"]
    tokenizer.model_input_names = ("input_ids", "token_type_ids")
    assert list(tokenizer("He")) == ["input_ids", "token_type_ids"]
    with pytest.raises(InputError, match="model_input_names must be a list of names"):
        tokenizer.model_input_names = 3
