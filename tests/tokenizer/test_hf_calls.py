"""Texts in all forms that HF takes, calls by HF's other names, and HF's ways of saving."""

from __future__ import annotations

import json
import pickle
from collections import UserDict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lf_ref.errors import CheckpointError, InputError
from lf_ref.tokenizer import AddedToken, BatchEncoding, LongformerTokenizer
from lf_ref.tokenizer.arguments import refuse_unordered

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
