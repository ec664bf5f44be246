"""HF's arguments, attributes and methods, and the errors for those that a Longformer does not have."""

from __future__ import annotations

import copy
import json
import pickle
from collections import UserDict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizer.vocabularies import DEMO

from lf_ref.errors import CheckpointError, InputError
from lf_ref.tokenizer import AddedToken, BatchEncoding, LongformerTokenizer
from lf_ref.tokenizer.arguments import refuse_unordered


@pytest.fixture
def tokenizer() -> LongformerTokenizer:
    return LongformerTokenizer.from_pretrained()


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


# --- texts ------------------------------------------------------------------------------------------------------------


class Column:
    """Such as a column of a table: values in order, with `tolist`."""

    def tolist(self) -> list[str]:
        return ["a", "b c"]


@pytest.mark.parametrize(
    "texts",
    [("a", "b c"), np.array(["a", "b c"]), np.array(["a", "b c"], object), deque(["a", "b c"]), iter(["a", "b c"]),
     {"x": "a", "y": "b c"}.values(), Column(), [np.str_("a"), np.str_("b c")], (text for text in ("a", "b c"))],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_sequences_and_iterators_are_batches(demo, texts):
    assert demo(texts) == demo(["a", "b c"])


def test_sequences_as_pairs_and_as_words(demo):
    pairs = demo([("a", "b"), ("c", "d")])
    assert demo(np.array([["a", "b"], ["c", "d"]])) == pairs == demo(iter(["a", "c"]), iter(["b", "d"]))
    words = LongformerTokenizer.from_pretrained(add_prefix_space=True)
    one = words(["a", "b"], is_split_into_words=True)
    for text in (np.array(["a", "b"]), iter(["a", "b"]), ("a", "b")):
        assert words(text, is_split_into_words=True) == one
    two = words([["a", "b"], ["c"]], is_split_into_words=True)
    assert words(iter([iter(["a", "b"]), ("c",)]), is_split_into_words=True) == two
    assert words.encode(iter(["a", "b"]), is_split_into_words=True) == one.input_ids
    assert demo(np.str_("a")) == demo("a")


class Frame:
    """Such as a table of a library for data: iterating over it gives the names of its columns."""

    columns = ("text", "label")

    def __iter__(self):
        return iter(self.columns)


RECORDS = np.array([("a", "b"), ("c", "d")], dtype=[("text", "U1"), ("label", "U1")])


@pytest.mark.parametrize(
    ("value", "way_out"),
    [
        ({"text": "a"}, r"list\(.*\.values\(\)\)"),
        (UserDict(text="a"), r"list\(.*\.values\(\)\)"),
        (BatchEncoding({"input_ids": [5]}), r"list\(.*\.values\(\)\)"),
        ({"a", "b"}, r"sorted\("),
        (frozenset({"a"}), r"sorted\("),
        ({"a": 1}.keys(), r"sorted\("),
        (Frame(), r'pass df\["text"\]'),
        (RECORDS, r'pass df\["text"\]'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_mappings_sets_and_frames_are_refused(demo, value, way_out):
    words = LongformerTokenizer.from_pretrained(add_prefix_space=True)
    for call, name in (
        (lambda: demo(value), "text"),
        (lambda: demo(["a", value]), r"text\[1\]"),
        (lambda: demo("a", value), "text_pair"),
        (lambda: demo(["a"], value), "text_pair"),
        (lambda: demo([("a", value)]), r"text_pair\[0\]"),
        (lambda: demo("a", text_target=value), "text"),
        (lambda: demo.encode(value), "text"),
        (lambda: demo.tokenize(value), "text"),
        (lambda: demo.encode_plus(value), "text"),
        (lambda: demo.batch_encode_plus(value), "batch_text_or_text_pairs"),
        (lambda: words(value, is_split_into_words=True), "text"),
        (lambda: words([["a"], value], is_split_into_words=True), r"text\[1\]"),
        (lambda: refuse_unordered("text", value), "text"),
    ):
        with pytest.raises(InputError, match=rf"^{name} must be a text or a sequence of texts, got .*{way_out}"):
            call()


@pytest.mark.parametrize(
    "value", [b"a", bytearray(b"a"), 3, 3.0, None, object()], ids=lambda value: type(value).__name__
)
def test_what_is_no_text_at_all(demo, value):
    with pytest.raises(InputError, match="text must be a string"):
        demo(value)


@pytest.mark.parametrize("value", [[5, 6], np.array([5, 6]), [[5, 6]]])
def test_ids_instead_of_texts(demo, value):
    with pytest.raises(InputError, match="must be a string, got 5; for ids call prepare_for_model"):
        demo(value)


def test_tokens_in_no_order_are_refused(tokenizer):
    for call in (
        lambda: tokenizer.add_tokens({"<x>", "<y>"}),
        lambda: tokenizer.add_special_tokens({"additional_special_tokens": {"<x>", "<y>"}}),
        lambda: LongformerTokenizer.from_pretrained(additional_special_tokens={"<x>", "<y>"}),
    ):
        with pytest.raises(InputError, match="a set has no order"):
            call()
    for call in (
        lambda: tokenizer.add_tokens(5),
        lambda: tokenizer.add_special_tokens({"pad_token": None}),
        lambda: LongformerTokenizer.from_pretrained(additional_special_tokens="<x>"),
        lambda: setattr(tokenizer, "additional_special_tokens", "<s>"),
    ):
        with pytest.raises(InputError, match="must be a list of tokens"):
            call()


# --- calls by other names ---------------------------------------------------------------------------------------------


def test_targets(demo):
    both = demo("a b", "c", text_target="d", text_pair_target="e")
    assert both == {**demo("a b", "c"), "labels": demo("d", "e").input_ids}
    assert demo("a b", "c", "d", "e") == both
    assert demo(text_target=["a", "b c"], padding=True) == demo(["a", "b c"], padding=True)
    arrays = demo(["a"], text_target=["b c"], return_tensors="np")
    assert arrays.labels.tolist() == [demo.encode("b c")]
    with demo.as_target_tokenizer():
        assert demo("a") == demo("a")


def test_one_text_by_the_old_names(demo):
    assert demo.encode_plus("a", "b", max_length=9) == demo("a", "b", max_length=9)
    assert demo.encode("a", None, False) == demo("a", add_special_tokens=False).input_ids
    assert demo.batch_encode_plus(["a", ("b", "c")]) == demo(["a", ("b", "c")])
    for call in (demo.encode_plus, demo.encode, demo.tokenize):
        for several in (["a", "b"], [5, 6], np.array(["a"])):
            with pytest.raises(InputError, match=r"must be one text.*prepare_for_model"):
                call(several)
    with pytest.raises(InputError, match="must be a list of texts, got 'ab'"):
        demo.batch_encode_plus("ab")


def test_rows_of_ids(demo):
    ids = demo.encode("a b c d", add_special_tokens=False)
    assert demo.prepare_for_model(ids) == demo("a b c d")
    pair = demo.encode("e f", add_special_tokens=False)
    options: dict[str, Any] = {"return_special_tokens_mask": True, "return_token_type_ids": True}
    assert demo.prepare_for_model(ids, pair, **options) == demo("a b c d", "e f", **options)
    cut = demo.prepare_for_model(
        ids, truncation=True, max_length=4, stride=1, return_overflowing_tokens=True, padding="max_length"
    )
    assert cut.overflowing_tokens == ids[1:]
    assert (cut.num_truncated_tokens, cut.input_ids) == (2, [0, *ids[:2], 2])
    assert demo.prepare_for_model(ids, return_tensors="np", prepend_batch_axis=True).input_ids.shape == (1, 6)
    assert demo.truncate_sequences(ids, pair, 2) == (ids[:2], pair, [])
    assert demo.truncate_sequences(ids, None, 2, "do_not_truncate") == (ids, None, [])
    for wrong, message in (
        (lambda: demo.prepare_for_model("ab"), "ids must be a list of integers"),
        (lambda: demo.prepare_for_model(ids, return_overflowing_tokens=True), "needs truncation=True"),
        (lambda: demo.prepare_for_model(ids, pair, True, False, True, 7, return_overflowing_tokens=True), "only_first"),
        (lambda: demo.prepare_for_model(ids, max_length=1), "cannot remove"),
        (lambda: demo.truncate_sequences(ids, None, 2, "some"), "truncation must be one of"),
        (lambda: demo.truncate_sequences(ids, None, 4, "only_first"), "would remove 4 tokens of a text of 4"),
    ):
        with pytest.raises(InputError, match=message):
            wrong()


def test_settings_as_hf_names_them(demo):
    assert demo.init_kwargs["model_max_length"] == demo.model_max_length
    assert demo.init_kwargs["mask_token"] == "<mask>"
    assert demo.vocab == demo.get_vocab()
    assert demo.deprecation_warnings == {}
    assert (demo.is_fast, demo.pad_token_type_id, demo.name_or_path) == (True, 0, "demo")
    assert LongformerTokenizer({"a": 0}, []).name_or_path == ""
    assert demo.special_tokens_map_extended["mask_token"] == AddedToken("<mask>", lstrip=True, special=True)
    assert [str(token) for token in demo.all_special_tokens_extended] == demo.all_special_tokens


def test_options_that_are_set(tokenizer):
    before = tokenizer("a b", return_offsets_mapping=True)
    tokenizer.add_prefix_space = True
    assert tokenizer.encode("a b") == LongformerTokenizer.from_pretrained(add_prefix_space=True).encode("a b")
    assert tokenizer(["a"], is_split_into_words=True)
    tokenizer.add_prefix_space = False
    tokenizer.trim_offsets = False
    untrimmed = tokenizer("a b", return_offsets_mapping=True)
    assert (before.offset_mapping[2], untrimmed.offset_mapping[2]) == ((2, 3), (1, 3))


def test_special_tokens_that_are_set(tokenizer):
    tokenizer.additional_special_tokens = ["a", AddedToken("</s>")]
    assert tokenizer.additional_special_tokens_ids == [tokenizer.convert_tokens_to_ids("a"), 2]
    tokenizer.additional_special_tokens_ids = np.array([5, 6])
    assert tokenizer.additional_special_tokens == tokenizer.convert_ids_to_tokens([5, 6])
    assert tokenizer.all_special_ids[-2:] == [5, 6]
    tokenizer.additional_special_tokens = None
    assert tokenizer.additional_special_tokens == []
    with pytest.raises(
        InputError,
        match=r"additional_special_tokens must be a token of the vocabulary, got '<new>'.*add_special_tokens",
    ):
        tokenizer.additional_special_tokens = ["<new>"]


def test_extra_special_tokens():
    tokenizer = LongformerTokenizer.from_pretrained(extra_special_tokens={"image_token": "<img>", "pad_token": "<y>"})
    size = tokenizer.vocab_size
    assert (tokenizer.image_token, tokenizer.image_token_id) == ("<img>", size + 1)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("<y>", size)
    assert tokenizer.decode(tokenizer.encode("a<img>"), skip_special_tokens=True) == "a"
    tokenizer.image_token = "</s>"
    assert (tokenizer.image_token_id, tokenizer.special_tokens_map["image_token"]) == (2, "</s>")
    tokenizer.image_token_id = 0
    assert tokenizer.image_token == "<s>"
    assert tokenizer.add_special_tokens({"image_token": "<new>"}) == 1
    assert tokenizer.image_token_id == size + 2
    assert pickle.loads(pickle.dumps(tokenizer)).image_token == "<new>"
    with pytest.raises(InputError, match="image_token must be a token of the vocabulary, got '<none>'"):
        tokenizer.image_token = "<none>"


# --- saving -----------------------------------------------------------------------------------------------------------


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


SETTINGS = {"tokenizer_config.json", "special_tokens_map.json"}


def test_saving_in_one_of_the_two_forms(tmp_path, tokenizer):
    tokenizer.add_tokens(["<new>"])
    legacy = {"vocab.json", "merges.txt", "added_tokens.json"}
    for form, expected in ((False, {"tokenizer.json"}), (True, legacy), (None, {"tokenizer.json", *legacy})):
        for safe in (True, False):
            written = tokenizer.save_pretrained(
                tmp_path, legacy_format=form, safe_serialization=safe, push_to_hub=False
            )
        assert {Path(path).name for path in written} == names(tmp_path) == SETTINGS | expected
        assert LongformerTokenizer.from_pretrained(tmp_path).encode("a<new>") == tokenizer.encode("a<new>")


def test_saving_with_a_prefix(tmp_path, demo):
    demo.save_pretrained(tmp_path, filename_prefix="my")
    assert names(tmp_path) == {f"my-{name}" for name in ("vocab.json", "merges.txt", "tokenizer.json", *SETTINGS)}
    assert demo.save_vocabulary(tmp_path / "new", "my") == tuple(
        str(tmp_path / "new" / f"my-{name}") for name in ("vocab.json", "merges.txt")
    )
    assert json.loads((tmp_path / "new" / "my-vocab.json").read_text()) == demo.get_vocab()
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be saved in"):
        demo.save_vocabulary(tmp_path / "file")


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
